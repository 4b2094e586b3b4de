#!/bin/sh
# first-boot.sh: what is to be done on this host, as the file 'steps' beside it says. A server that was started before stays as it is,
# whatever is here: from then on modules/cluster changes it.
set -eu
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)

# part NAME SCRIPT ARGUMENT...: runs a script with its files in a directory of its own.
part() {
	name=$1 script=$2
	shift 2
	rm -rf "$here/work"
	mkdir -m 0700 "$here/work"
	[ ! -d "$here/$name" ] || cp -R "$here/$name/." "$here/work"
	cp "$here"/scripts/*.sh "$here/work"
	sh "$here/work/$script" "$@"
	rm -rf "$here/work"
}

disk() { part disk disk.sh "$@"; }
package() { command -v varve >/dev/null || part package package.sh "$@"; }
etcd() { [ -e /etc/varve-etcd/started ] || part etcd etcd.sh "$@"; }
minio() { [ -e /etc/varve-minio/started ] || part minio minio.sh "$@"; }
agent() { [ -e /etc/varve/started ] || part agent agent.sh "$@"; }
health() { VARVE_PROFILE=/etc/varve/profile.yaml varve cluster health --wait --timeout "$1" >/dev/null; }
topic() { part topic topic.sh "$@"; }

# shellcheck disable=SC1091
. "$here/steps"
rm -rf "$here/etcd/secrets" "$here/minio/secrets" "$here/agent/secrets" # the servers have them

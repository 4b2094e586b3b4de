# shellcheck shell=sh
# What the scripts that run on hosts share. They run as root.
set -eu
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
umask 022

die() {
	echo "$(uname -n): $*" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || die "this must run as root: connect as root, or give the user sudo without a password"
[ -d /run/systemd/system ] || die "systemd doesn't run here, which starts all servers"

# obtain SHA256 URL: $here/uploaded is the file of this sum, downloaded if there is a URL.
obtain() {
	if [ -n "$2" ]; then
		if command -v curl >/dev/null; then
			curl -fsSL --retry 3 -o "$here/uploaded" "$2" || die "can't download $2"
		else
			wget -q -O "$here/uploaded" "$2" || die "can't download $2 (with wget; there is no curl)"
		fi
	fi
	echo "$1  $here/uploaded" | sha256sum --check --status || die "the file${2:+ at $2} doesn't have the SHA-256 sum $1"
}

# account NAME: the user and group that a server runs as.
account() {
	id "$1" >/dev/null 2>&1 || useradd --system --user-group --home-dir "/var/lib/$1" --no-create-home --shell /usr/sbin/nologin "$1"
}

# put FILE TO MODE GROUP: a file of root's that the group may read.
put() {
	install -m "$3" -o root -g "$4" "$1" "$2.new"
	mv "$2.new" "$2" # at once: servers read some files again when they change
}

# put_all DIRECTORY TO GROUP: each file of it; keys are put before certificates.
put_all() {
	install -d -m 0750 -o root -g "$3" "$2"
	for file in "$1"/*key "$1"/*; do
		[ -f "$file" ] && put "$file" "$2/${file##*/}" 0640 "$3"
	done
	return 0
}

# sum FILE...: one sum of what a server was started with.
sum() { cat "$@" | sha256sum; }

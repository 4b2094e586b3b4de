#!/bin/sh
# package.sh SHA256 URL deb|rpm: installs Varve's package. It neither starts nor restarts anything.
set -eu
. "$(dirname "$0")/lib.sh"

obtain "$1" "$2"
case $3 in
deb)
	mv "$here/uploaded" "$here/varve.deb"
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold -o APT::Sandbox::User=root \
		--allow-downgrades --reinstall install "$here/varve.deb" >"$here/log" 2>&1 || die "apt-get failed: $(tail -n 20 "$here/log")"
	;;
rpm)
	rpm -U --oldpackage --replacepkgs "$here/uploaded" >"$here/log" 2>&1 || die "rpm failed: $(tail -n 20 "$here/log")"
	;;
esac
rm -rf "$here"

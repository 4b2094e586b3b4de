#!/bin/sh
# purge.sh true|false: takes away all that was installed; true: and all data, but that of an agent which left without being drained.
set -eu
for unit in varve varve-minio varve-etcd; do
	if systemctl cat "$unit.service" >/dev/null 2>&1; then
		systemctl disable --quiet --now "$unit" || true
	fi
done
if command -v dpkg >/dev/null && dpkg -s varve >/dev/null 2>&1; then
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 purge varve >/dev/null
elif command -v rpm >/dev/null && rpm -q varve >/dev/null 2>&1; then
	rpm -e varve
fi
rm -rf /var/lib/varve-init /etc/varve /etc/varve-etcd /etc/varve-minio /usr/local/lib/varve /etc/systemd/system/varve-etcd.service /etc/systemd/system/varve-minio.service
systemctl daemon-reload
[ "$1" = true ] || exit 0
# remove DIRECTORY: with all that is in it; if it is a disk of its own, that stays mounted.
remove() { rm -rf "$1" 2>/dev/null || [ -z "$(ls -A "$1")" ]; }
remove /var/lib/varve-etcd
remove /var/lib/varve-minio
users="varve-etcd varve-minio"
if [ ! -e /var/lib/varve/not-drained ]; then
	remove /var/lib/varve
	users="varve $users"
fi
for user in $users; do
	if id "$user" >/dev/null 2>&1; then
		userdel "$user"
	fi
done

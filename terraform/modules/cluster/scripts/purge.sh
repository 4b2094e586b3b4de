#!/bin/sh
# purge.sh true|false: takes away all that was installed; true: and all data.
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
for data in /var/lib/varve /var/lib/varve-etcd /var/lib/varve-minio; do
	rm -rf "$data" 2>/dev/null || [ -z "$(ls -A "$data")" ] # a disk of its own stays mounted
done
for user in varve varve-etcd varve-minio; do
	if id "$user" >/dev/null 2>&1; then
		userdel "$user"
	fi
done

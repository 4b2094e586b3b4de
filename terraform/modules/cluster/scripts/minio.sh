#!/bin/sh
# minio.sh SHA256 URL PORT: installs a MinIO server with one drive, and the bucket.
set -eu
. "$(dirname "$0")/lib.sh"
etc=/etc/varve-minio

obtain "$1" "$2"
account varve-minio
install -d -m 0755 /usr/local/lib/varve
put "$here/uploaded" /usr/local/lib/varve/minio 0755 root
install -d -m 0700 -o varve-minio -g varve-minio /var/lib/varve-minio /var/lib/varve-minio/varve # a directory at the top is a bucket
install -d -m 0750 -o root -g varve-minio $etc $etc/certs $etc/certs/CAs
put "$here/secrets/service.key" $etc/certs/private.key 0640 varve-minio
put "$here/secrets/service.crt" $etc/certs/public.crt 0640 varve-minio
put "$here/secrets/services-ca.crt" $etc/certs/CAs/services-ca.crt 0640 varve-minio
cat >"$here/environment" <<E
MINIO_ROOT_USER='$(cat "$here/secrets/access-key")'
MINIO_ROOT_PASSWORD='$(cat "$here/secrets/secret-key")'
MINIO_BROWSER=off
MINIO_UPDATE=off
MINIO_CALLHOME_ENABLE=off
E
put "$here/environment" $etc/environment 0640 varve-minio
cat >"$here/unit" <<U
[Unit]
Description=MinIO of a Varve cluster
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
User=varve-minio
EnvironmentFile=$etc/environment
ExecStart=/usr/local/lib/varve/minio server --quiet --address :$3 --certs-dir $etc/certs /var/lib/varve-minio
WorkingDirectory=/var/lib/varve-minio
Restart=always
RestartSec=1
LimitNOFILE=1048576
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ReadWritePaths=/var/lib/varve-minio

[Install]
WantedBy=multi-user.target
U
put "$here/unit" /etc/systemd/system/varve-minio.service 0644 root

systemctl daemon-reload
systemctl enable --quiet varve-minio
now=$(sum /usr/local/lib/varve/minio $etc/environment /etc/systemd/system/varve-minio.service)
if [ "$now" != "$(cat $etc/started 2>/dev/null || true)" ] || ! systemctl --quiet is-active varve-minio; then
	systemctl restart varve-minio # agents keep what comes in until it is back
fi
echo "$now" >$etc/started

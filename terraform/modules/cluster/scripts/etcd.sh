#!/bin/sh
# etcd.sh SHA256 URL SERVERS: installs one of so many etcd servers. One that runs is restarted when no agent and no other server is being restarted.
set -eu
. "$(dirname "$0")/lib.sh"
etc=/etc/varve-etcd

obtain "$1" "$2"
if gzip -t "$here/uploaded" 2>/dev/null; then
	tar -xzf "$here/uploaded" -C "$here" --strip-components=1 --wildcards '*/etcd'
else
	mv "$here/uploaded" "$here/etcd"
fi
account varve-etcd
install -d -m 0755 /usr/local/lib/varve
put "$here/etcd" /usr/local/lib/varve/etcd 0755 root
install -d -m 0700 -o varve-etcd -g varve-etcd /var/lib/varve-etcd
install -d -m 0750 -o root -g varve-etcd $etc
put_all "$here/secrets" $etc/tls varve-etcd
put "$here/environment" $etc/environment 0640 varve-etcd
put "$here/turn.yaml" $etc/turn.yaml 0640 root
cat >"$here/unit" <<'U'
[Unit]
Description=etcd of a Varve cluster
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
User=varve-etcd
EnvironmentFile=/etc/varve-etcd/environment
ExecStart=/usr/local/lib/varve/etcd
TimeoutStartSec=infinity
Restart=always
RestartSec=1
LimitNOFILE=65536
OOMScoreAdjust=-500
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ReadWritePaths=/var/lib/varve-etcd

[Install]
WantedBy=multi-user.target
U
put "$here/unit" /etc/systemd/system/varve-etcd.service 0644 root

systemctl daemon-reload
systemctl enable --quiet varve-etcd
now=$(sum /usr/local/lib/varve/etcd $etc/environment /etc/systemd/system/varve-etcd.service)
before=$(cat $etc/started 2>/dev/null || true)
if [ "$(systemctl is-active varve-etcd || true)" != active ]; then
	if [ "$now" = "$before" ]; then
		systemctl start --no-block varve-etcd # the first of several serves when others are there
	else
		systemctl restart --no-block varve-etcd # one that waits for the others has its settings from before
	fi
elif [ "$now" != "$before" ] && [ "$3" -gt 1 ]; then
	varve cluster turn --lock-only --config $etc/turn.yaml -- systemctl restart varve-etcd
elif [ "$now" != "$before" ]; then
	systemctl restart varve-etcd # the lock would be in it
fi
echo "$now" >$etc/started

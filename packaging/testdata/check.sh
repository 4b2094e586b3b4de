#!/bin/bash
# Runs as root in a Debian that systemd has booted: see install_test.go. Each line must end well.
set -Eeuxo pipefail
trap 'journalctl --no-pager --lines=40 --output=cat --unit=varve' ERR

# expect COMMAND... compares the standard output of a command with the standard input.
expect() { diff -u - <("$@"); }

# fails COMMAND... sees that a command fails.
fails() { if "$@"; then return 1; fi; }

# says PATTERN COMMAND... sees that the standard output of a command has a line with a pattern.
says() { local pattern=$1; shift; "$@" | grep -- "$pattern" >/dev/null; }

echo '127.0.0.1 localhost' >/etc/hosts
systemctl start etcd

# Installed: its user, its rights; nothing is started.
apt-get install --yes --no-install-recommends /older.deb
says '^varve 1.2.3$' varve version
expect stat --format='%A %U %G %n' /etc/varve /etc/varve/varve.yaml /var/lib/varve <<'RIGHTS'
drwxr-x--- root varve /etc/varve
-rw-r----- root varve /etc/varve/varve.yaml
drwxr-x--- varve varve /var/lib/varve
RIGHTS
fails systemctl is-active varve
fails systemctl is-enabled varve

# Wrong settings end it, with exit code 2, and it isn't started again.
cp /etc/varve/varve.yaml /root/varve.yaml
echo 'nonsense: true' >>/etc/varve/varve.yaml
fails systemctl start varve
sleep 2
expect systemctl show varve --property=ExecMainStatus,NRestarts,SubState <<'WRONG'
NRestarts=0
ExecMainStatus=2
SubState=failed
WRONG

# A start returns when it serves.
cat >/etc/varve/varve.yaml <<'SETTINGS'
broker_id: 7
data_dir: /var/lib/varve
listeners: [{name: PLAINTEXT, bind: "127.0.0.1:9092"}]
http: 127.0.0.1:9644
peer: {bind: ""}
etcd: {endpoints: ["http://127.0.0.1:2379"]}
store: {driver: dir, directory: /var/lib/varve/objects}
replication: {factor: 1, quorum: 1}
journal: {reserve_bytes: 0}
SETTINGS
systemctl enable --now varve
varve ready
says 'Status: "serving' systemctl status varve
varve topic create first
echo before | varve produce first

# Killed, it is started again, and has what was acknowledged.
systemctl kill --signal=KILL --kill-whom=main varve
until [ "$(systemctl show varve --property=NRestarts --value)" = 1 ] && systemctl is-active varve; do sleep 0.2; done
expect varve consume first <<<before
echo after | varve produce first

# An upgrade keeps the settings, and what runs runs on until it is restarted.
running=$(systemctl show varve --property=MainPID --value)
apt-get install --yes --no-install-recommends -o Dpkg::Options::=--force-confold /newer.deb
says '^varve 1.3.0$' varve version
grep -q 'broker_id: 7' /etc/varve/varve.yaml
test "$(systemctl show varve --property=MainPID --value)" = "$running"
varve cluster health --wait
systemctl restart varve
systemctl reload varve
expect varve consume first <<'BOTH'
before
after
BOTH
systemctl stop varve
expect systemctl show varve --property=Result,ExecMainStatus <<'STOPPED'
Result=success
ExecMainStatus=0
STOPPED
systemctl start varve

# Purged, it runs no more; its data are kept.
apt-get purge --yes varve 2>&1 | tee /purge.log
grep -q '/var/lib/varve is kept' /purge.log
fails grep --quiet --no-messages --line-regexp varve /proc/[0-9]*/comm
fails systemctl cat varve
test ! -e /etc/varve
test -d /var/lib/varve/journal

#!/bin/sh
# agent.sh TIMEOUT: installs the agent's settings, and restarts it when it is its turn if there is something new.
set -eu
. "$(dirname "$0")/lib.sh"
etc=/etc/varve

put_all "$here/secrets" $etc/tls varve
sed 's/^[^:]*://' "$here/secrets/first-user" >"$here/admin-password"
put "$here/admin-password" $etc/admin-password 0600 root
put "$here/profile.yaml" $etc/profile.yaml 0600 root

# with COMMAND...: with the settings that are in variables.
with() (
	set -a
	# shellcheck disable=SC1091
	. "$here/environment"
	exec "$@"
)
with varve config --config "$here/varve.yaml" >/dev/null || die "the agent would refuse its settings; nothing was changed"
put "$here/varve.yaml" $etc/varve.yaml 0640 varve
put "$here/environment" $etc/environment 0640 varve

rm -f /var/lib/varve/not-drained # it is back
now=$(sum /usr/bin/varve $etc/varve.yaml $etc/environment)
before=$(cat $etc/started 2>/dev/null || true)
systemctl enable --quiet varve
case $(systemctl is-active varve || true) in
active)
	[ "$now" != "$before" ] || exit 0
	with env VARVE_PROFILE=$etc/profile.yaml varve cluster turn --config $etc/varve.yaml --timeout "$1" -- systemctl restart varve ||
		die "the agent was not restarted in turn; 'varve cluster health' and 'journalctl -u varve' say more. What is left is done by the next apply"
	;;
activating)
	[ "$now" = "$before" ] || systemctl restart --no-block varve
	;;
*)
	systemctl restart --no-block varve # of a new cluster no agent serves before others are there
	;;
esac
echo "$now" >$etc/started

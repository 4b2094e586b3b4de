#!/bin/sh
# leave.sh BROKER one|all TIMEOUT [HTTP...]: takes the agent out of the cluster. If others stay, which answer at these URLs, it is
# drained first, and forgotten afterwards; if the whole cluster goes, it is stopped.
set -eu
broker=$1 goes=$2 timeout=$3
shift 3
etc=/etc/varve
[ -e $etc/started ] || exit 0 # it was never started
export VARVE_PROFILE=$etc/profile.yaml

if [ "$goes" = all ] || [ $# = 0 ]; then
	systemctl disable --quiet --now varve
	exit 0
fi
drained=''
if systemctl --quiet is-active varve; then
	# shellcheck disable=SC2016 # its own arguments
	varve cluster turn --lock-only --config $etc/varve.yaml -- \
		sh -ec 'varve cluster drain "$1" --wait --wait-timeout "$2"; systemctl disable --quiet --now varve' drain "$broker" "$timeout"
	drained=yes
fi
systemctl disable --quiet --now varve
for http in "$@"; do
	if varve cluster forget "$broker" --http "$http"; then
		if [ -n "$drained" ]; then
			# What it had is in the bucket. A disk of its own stays mounted.
			rm -rf /var/lib/varve 2>/dev/null || [ -z "$(ls -A /var/lib/varve)" ]
		else
			touch /var/lib/varve/not-drained # purge.sh keeps it then
			echo "$(uname -n): agent $broker didn't run, so it was not drained: /var/lib/varve is kept, it may have records that are nowhere else" >&2
		fi
		exit 0
	fi
done
echo "$(uname -n): agent $broker is stopped, and no other agent could be told to forget it: 'varve cluster forget $broker' does" >&2
exit 1

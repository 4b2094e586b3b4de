#!/bin/sh
# topic.sh NAME PARTITIONS [SETTING=VALUE...]: creates a topic, or alters it.
set -eu
name=$1 partitions=$2
shift 2
export VARVE_PROFILE=/etc/varve/profile.yaml
varve topic create "$name" --partitions "$partitions" --if-not-exists
has=$(varve topic describe "$name" --json | tr -d ' \n' | grep -o '"partition":[0-9]*' | wc -l)
[ "$has" -ge "$partitions" ] || varve topic alter "$name" --partitions "$partitions"
for setting in "$@"; do
	varve topic alter "$name" --set "$setting"
done

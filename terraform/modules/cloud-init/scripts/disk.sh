#!/bin/sh
# disk.sh PATTERN UNIT: mounts the one disk whose file in /dev matches, at /var/lib/UNIT, now and at each boot, before the server of that
# name starts. It makes a file system only on a disk that is blank.
set -eu
# shellcheck source=../../cluster/scripts/lib.sh
. "$(dirname "$0")/lib.sh"
pattern=$1 unit=$2
at=/var/lib/$unit
patience=${PATIENCE:-300} # seconds; a cloud may attach the disk after boot

# look: $disk is the disk, or empty.
look() {
	disk=''
	for name in $pattern; do
		[ -b "$name" ] || continue
		case $name in *-part[0-9]*) continue ;; esac
		real=$(readlink -f "$name")
		[ -z "$disk" ] || [ "$disk" = "$real" ] || die "$pattern: both $disk and $real match"
		disk=$real
	done
}

# blank: there is nothing on the disk that a tool knows, and its first 16 MiB are zeros.
blank() {
	[ -z "$type" ] || return 1
	[ -z "$(lsblk -nro NAME "$disk" | tail -n +2)" ] || return 1 # partitions
	size=$(blockdev --getsize64 "$disk")
	[ "$size" -gt 0 ] || return 1
	cmp -s -n $((size < 16777216 ? size : 16777216)) "$disk" /dev/zero
}

mountpoint -q "$at" && exit 0
look
while [ -z "$disk" ]; do
	[ "$patience" -gt 0 ] || die "no disk is $pattern"
	patience=$((patience - 1))
	sleep 1
	look
done
[ -z "$(ls -A "$at" 2>/dev/null)" ] || die "$at has files, which the disk would hide"

if type=$(blkid -p -o value -s TYPE -s PTTYPE "$disk"); then
	type=${type:-unknown}
elif [ $? != 2 ]; then
	die "$disk: can't tell what is on it; it is left as it is"
fi
case $type in
ext4 | xfs) ;;
*)
	blank || die "$disk is neither blank nor has it a file system of type ext4 or xfs: it is left as it is"
	mkfs.ext4 -q -m 0 -L "$unit" "$disk"
	type=ext4
	;;
esac
uuid=$(blkid -p -o value -s UUID "$disk")

# With nofail the machine boots without the disk, and can be looked at; the server waits for it.
mkdir -p "$at" "/etc/systemd/system/$unit.service.d"
grep -q "^UUID=$uuid " /etc/fstab || echo "UUID=$uuid $at $type noatime,nofail 0 2" >>/etc/fstab
printf '[Unit]\nRequiresMountsFor=%s\n' "$at" >"/etc/systemd/system/$unit.service.d/disk.conf"
systemctl daemon-reload
mount "$at"
rmdir "$at/lost+found" 2>/dev/null || true # of a new file system; it is made again when it is needed

#!/bin/busybox sh
# shellcheck shell=dash
# Load what leads to the root file system, mount it and hand over.
set -eu
PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/lib/$module" 2>/dev/null || true
done </order
device=
tries=300
while [ -z "$device" ] && [ "$tries" -gt 0 ]; do
    device=$(findfs LABEL=rootfs 2>/dev/null || true)
    [ -n "$device" ] || usleep 100000
    tries=$((tries - 1))
done
mount -t ext4 -o rw,noatime "$device" /mnt || exec sh
mount --move /dev /mnt/dev
umount /sys /proc
exec switch_root /mnt /sbin/init

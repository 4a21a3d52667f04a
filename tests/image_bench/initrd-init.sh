#!/bin/busybox sh
# shellcheck shell=dash
# Load what leads to the root file system, mount it as the kernel's words say (root=PARTUUID=…, ro or rw), and hand over to
# init=.
set -eu
PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/lib/$module" 2>/dev/null || true
done </order

init=/sbin/init mode=ro
read -r words </proc/cmdline
for word in $words; do
    case $word in
    root=PARTUUID=*) wanted=${word#root=PARTUUID=} ;;
    init=*) init=${word#init=} ;;
    ro | rw) mode=$word ;;
    esac
done

# The kernel's name of a partition on an MBR disk: the disk's id, and the number in two hexadecimal digits.
partition() {
    for file in /sys/class/block/*/partition; do
        [ -e "$file" ] || return 0
        folder=$(readlink -f "${file%/partition}")
        disk=${folder%/*}
        id=$(od -A n -t x4 -j 440 -N 4 "/dev/${disk##*/}" | tr -d ' ')
        if [ "$id-$(printf %02x "$(cat "$file")")" = "$1" ]; then
            echo "/dev/${folder##*/}"
            return
        fi
    done
}

device=
tries=300
while [ -z "$device" ] && [ "$tries" -gt 0 ]; do
    device=$(partition "$wanted")
    [ -n "$device" ] || usleep 100000
    tries=$((tries - 1))
done
mount -t ext4 -o "$mode" "$device" /mnt || exec sh
mount --move /dev /mnt/dev
umount /sys /proc
exec switch_root /mnt "$init"

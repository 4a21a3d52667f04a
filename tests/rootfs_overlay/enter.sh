#!/usr/bin/env bash
# Become the first process of a small system of its own: systemd on this machine's /usr with the overlay on top.
#
#   unshare --mount --pid --fork --cgroup --net --uts --ipc enter.sh STAGE TARGET
#
# STAGE holds `tree` (the overlay and what completes it) and the empty folder `root`; standard input is the terminal
# that becomes the console. Everything is mounted in a namespace that ends with the system.
set -euo pipefail

stage=$1
target=$2
root=$stage/root

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir "$root"/{usr,etc,var,run,proc,sys,dev,tmp,root,home,boot,data,old}
for link in bin sbin lib lib64; do
    ln -s "usr/$link" "$root/$link"
done
mount -t overlay -o "lowerdir=$stage/tree/usr:/usr" overlay "$root/usr"
while read -r source place; do
    mount --bind "$source" "$root/$place"
    mount -o remount,ro,bind "$root/$place"
done <"$stage/binds"
cp -a "$stage/tree/etc/." "$root/etc/"
cp -a "$stage/tree/boot/." "$root/boot/"
cp -a "$stage/tree/data/." "$root/data/"
chmod 1777 "$root/tmp"

mount -t proc proc "$root/proc"
# Most kernel settings are those of the whole machine; only the network's are this system's own.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,ro,bind "$root/proc/sys"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
# A driver of USB devices that does nothing, in the place of the machine's, which may have none.
mount -t tmpfs -o mode=755 tmpfs "$root/sys/bus"
mkdir -p "$root/sys/bus/usb/drivers/usb"
touch "$root"/sys/bus/usb/drivers/usb/{bind,unbind,new_id}
mount -o remount,ro,bind "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root"/dev/{pts,shm,mqueue}
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
while read -r name mode group kind major minor; do
    mknod -m "$mode" "$root/dev/$name" "$kind" "$major" "$minor"
    chgrp "$group" "$root/dev/$name"
done <"$stage/nodes"
# There is no clock chip here; whether one is there is all that the units ask.
touch "$root/dev/rtc0" "$root/dev/console"
mount --bind "$(tty)" "$root/dev/console"

cd "$root"
pivot_root . old
umount -l old
# As systemd does it itself where it is not in a container; without it no unit would see what systemd hands to it.
mount --make-rshared /
# There is one clock and one kernel for this system and the machine: nobody in here may set or load anything in them.
exec env -i PATH=/usr/sbin:/usr/bin container=otppi-test \
    setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm /usr/lib/systemd/systemd \
    --system --unit="$target" --log-target=console --log-level=info --show-status=no </dev/console &>/dev/console

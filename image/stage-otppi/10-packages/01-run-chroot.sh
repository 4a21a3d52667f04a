#!/bin/bash
# Take away what Raspberry Pi OS Lite brings for developers and desktops: compilers, daemons that seize modems or mount
# sticks, services that call home, swap. On plain Debian none of it is there.
set -eu

# Only Raspberry Pi's archive has it; without it the buzzer stays silent.
if [ -e /boot/firmware/config.txt ]; then
    apt-get --yes install --no-install-recommends python3-lgpio </dev/null
fi

unwanted='
    modemmanager wvdial cloud-init rpi-cloud-init-mods rpi-swap dphys-swapfile rpi-connect-lite rpi-usb-gadget
    userconf-pi rpi-update ssh-import-id apt-listchanges
    build-essential gcc g++ make dpkg-dev libc6-dev pkg-config gdb strace manpages-dev man-db linux-headers-rpi-v8 linux-headers-rpi-2712
    udisks2 bluez bluez-firmware triggerhappy libmtp-runtime cifs-utils ntfs-3g
    rpicam-apps-lite mkvtoolnix v4l-utils kms++-utils luajit lua5.1 ncdu ed fbset
'
installed=
for package in $unwanted; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || status=
    if [ "$status" = installed ]; then
        installed="$installed $package"
    fi
done
if [ -n "$installed" ]; then
    # shellcheck disable=SC2086 # a list of words
    apt-get --yes purge --auto-remove $installed </dev/null
fi

# Nothing that the device needs may have gone with it.
needed='network-manager wpasupplicant dnsmasq-base iptables ppp avahi-daemon systemd-resolved python3-gi'
if [ -e /boot/firmware/config.txt ]; then
    needed="$needed
        raspi-firmware linux-image-rpi-v8 linux-image-rpi-2712 raspberrypi-sys-mods firmware-brcm80211
        python3-lgpio"
fi
for package in $needed; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || status=missing
    if [ "$status" != installed ]; then
        echo "the package $package is $status" >&2
        exit 1
    fi
done

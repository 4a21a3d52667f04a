#!/bin/bash
# What only a Raspberry Pi's boot partition has. On plain Debian there is none, and nothing is done.
set -eu

boot="${ROOTFS_DIR}/boot/firmware"
share="${ROOTFS_DIR}/usr/share/otppi"
if [ ! -f "${boot}/config.txt" ]; then
    echo 'no config.txt: not a Raspberry Pi OS'
    exit 0
fi

files/boot-additions.sh add "${boot}" "${share}"

# One line of words. Not wanted: a root that grows over the whole card, and a console on the serial pins, where a modem
# may be. Wanted: a radio that is not blocked until somebody runs raspi-config, a root that is never written to, and the
# program of 60-storage that starts systemd.
read -r -a words <"${boot}/cmdline.txt" || true
read -r -a wanted <files/cmdline.words
line=
for word in "${words[@]}" "${wanted[@]}"; do
    case "${word}" in
    init=*/otppi/init) ;;
    resize | rw | init=* | console=serial0,* | rfkill.default_state=0) continue ;;
    esac
    case " ${line} " in
    *" ${word} "*) continue ;;
    esac
    line="${line:+${line} }${word}"
done
echo "${line}" >"${boot}/cmdline.txt"

# What systemd and NetworkManager would restore from an earlier start: nothing that keeps the radio off.
for state in "${ROOTFS_DIR}"/var/lib/systemd/rfkill/*:wlan; do
    if [ -f "${state}" ]; then
        echo 0 >"${state}"
    fi
done
rm -f "${ROOTFS_DIR}/var/lib/NetworkManager/NetworkManager.state"
# Accounts, networks and SSH by file: pi-gen and Raspberry Pi Imager know these names, the device has its own.
rm -f "${boot}"/{userconf,userconf.txt,ssh,ssh.txt,wpa_supplicant.conf,user-data,meta-data,network-config}

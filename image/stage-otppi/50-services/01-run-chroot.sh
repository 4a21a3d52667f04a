#!/bin/bash
# What runs on the device, and what must not.
set -eu

# They ask questions at the first boot, rename users, enable SSH because of a file on the card, listen for it by other
# ways or make keys for it that nobody uses, grow the root over the whole card, swap onto it, or write to it for nobody.
never='
    ModemManager.service
    systemd-firstboot.service userconfig.service userconf.service sshswitch.service rpi-resize.service
    cloud-init.target cloud-init-local.service
    swap.target systemd-zram-setup@.service dphys-swapfile.service
    systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service
    apt-daily.timer apt-daily.service apt-daily-upgrade.timer apt-daily-upgrade.service
    man-db.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
    rpi-eeprom-update.service bluetooth.service hciuart.service triggerhappy.service triggerhappy.socket
    udisks2.service
    ssh.socket sshd-unix-local.socket sshd-vsock.socket sshd-keygen.service regenerate_ssh_host_keys.service
'
# shellcheck disable=SC2086 # a list of words
systemctl mask --force $never </dev/null

# NetworkManager's unit switches its waiting on, and the presets after this off again.
systemctl enable NetworkManager.service systemd-resolved.service systemd-timesyncd.service avahi-daemon.service \
    </dev/null
own=$(find /usr/lib/systemd/system -maxdepth 1 -name 'otppi*.*' -type f -printf '%f\n' | LC_ALL=C sort)
# shellcheck disable=SC2086 # a list of words
systemctl preset $own ssh.service NetworkManager-wait-online.service </dev/null
systemctl set-default multi-user.target </dev/null

for program in ModemManager wvdial gcc cc; do
    if command -v "$program" >/dev/null; then
        echo "$program must not be on the device" >&2
        exit 1
    fi
done
for unit in ssh.service otppi.service; do
    if ! systemctl is-enabled --quiet "$unit"; then
        echo "$unit is not enabled" >&2
        exit 1
    fi
done

#!/bin/bash
# Leave nothing behind of how the image was made: caches, logs, documentation, everything that must differ from card
# to card.
set -eu

cd "${ROOTFS_DIR}"

empty() {
    local folder
    for folder in "$@"; do
        if [ -d "${folder}" ]; then
            find "${folder}" -xdev -mindepth 1 -delete
        fi
    done
}

# Licences stay, the rest of the documentation goes.
empty usr/share/{man,info,lintian,doc-base} var/cache/man
find usr/share/doc -depth ! -type d ! -name copyright -delete
find usr/share/doc -depth -mindepth 1 -type d -empty -delete

empty var/lib/apt/lists var/cache/apt var/log/journal tmp var/tmp
find var/log -type f -delete
rm -rf root/.cache root/.bash_history root/.wget-hsts root/.python_history
rm -f var/cache/ldconfig/aux-cache var/cache/debconf/*-old var/lib/dpkg/*-old
rm -f etc/{passwd,shadow,group,gshadow,subuid,subgid}- etc/apt/apt.conf.d/51cache etc/apt/sources.list.d/00-temp.list
rm -f etc/network/interfaces.dpkg-old etc/.pwd.lock

# Born on each device. An empty machine-id can be written at the first boot, a missing one could not be on a root that
# is read-only.
rm -f etc/ssh/ssh_host_* var/lib/dbus/machine-id var/lib/systemd/{random-seed,credential.secret}
rm -f var/lib/NetworkManager/{secret_key,seen-bssids,timestamps,NetworkManager.state,*.lease}
rm -rf var/lib/otppi/* etc/NetworkManager/system-connections/* root/.ssh
: >etc/machine-id

# The build machine's name servers are not the device's.
ln -sfn ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf

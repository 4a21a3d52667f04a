#!/bin/bash
# Files about services, and the name of the device.
set -eu

name=${TARGET_HOSTNAME:-otppi}
install -D --mode=0644 files/40-otppi-image.preset \
    "${ROOTFS_DIR}/usr/lib/systemd/system-preset/40-otppi-image.preset"
install -D --mode=0644 files/ssh.service.conf "${ROOTFS_DIR}/usr/lib/systemd/system/ssh.service.d/50-otppi.conf"
install -D --mode=0644 files/sshd.conf "${ROOTFS_DIR}/etc/ssh/sshd_config.d/10-otppi.conf"
echo "${name}" >"${ROOTFS_DIR}/etc/hostname"
printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\n' \
    >"${ROOTFS_DIR}/etc/hosts"
printf 'ff02::2\tip6-allrouters\n127.0.1.1\t%s\n' "${name}" >>"${ROOTFS_DIR}/etc/hosts"

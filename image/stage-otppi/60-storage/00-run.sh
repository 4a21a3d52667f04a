#!/bin/bash
# The device starts with a program that lays a layer in RAM over the root and opens the data partition.
set -eu

install --mode=0755 -D files/init "${ROOTFS_DIR}/usr/lib/otppi/init"
install --mode=0644 -D files/fstab "${ROOTFS_DIR}/etc/fstab"
install --mode=0644 -D files/e2fsck.conf "${ROOTFS_DIR}/etc/e2fsck.conf"
# Where it mounts: nothing can be made on the root any more when it runs.
install --mode=0700 -d "${ROOTFS_DIR}/data"
install --mode=0755 -d "${ROOTFS_DIR}/boot/firmware" "${ROOTFS_DIR}/mnt"

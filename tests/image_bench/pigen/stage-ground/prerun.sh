#!/bin/bash
# Plain Debian, in place of Raspberry Pi OS Lite.
set -eu

if [ ! -d "${ROOTFS_DIR}" ]; then
    mkdir -p "${ROOTFS_DIR}"
    tar --extract --zstd --numeric-owner --xattrs --xattrs-include='*' -f "${OTPPI_GROUND}" -C "${ROOTFS_DIR}"
fi

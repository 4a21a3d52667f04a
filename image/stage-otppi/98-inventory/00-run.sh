#!/bin/bash
# Hand out what is installed, for the list of components. Only pi-gen names a folder for what a build hands out.
set -eu

if [ -n "${DEPLOY_DIR:-}" ]; then
    install -d "${DEPLOY_DIR}"
    install --mode=0644 "${ROOTFS_DIR}/var/lib/dpkg/status" "${DEPLOY_DIR}/otppi.dpkg-status"
fi

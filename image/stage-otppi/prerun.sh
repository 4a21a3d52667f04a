#!/bin/bash
# Start from the root file system of the stage before.
set -eu

if [ ! -d "${ROOTFS_DIR}" ]; then
    copy_previous
fi

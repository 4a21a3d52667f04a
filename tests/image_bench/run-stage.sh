#!/bin/bash
# Run sub-stages on a root file system by the contract of pi-gen: NN-run.sh on this machine, NN-run-chroot.sh in the
# root file system. Their packages are installed already.
#
#   run-stage.sh ROOTFS STAGE RELEASE SUB_STAGE...
#
# To be called in a mount namespace of its own, which takes all mounts away at the end.
set -euo pipefail

export ROOTFS_DIR=$1 STAGE_DIR=$2 RELEASE=$3
shift 3
STAGE=$(basename "$STAGE_DIR")
BASE_DIR=$(dirname "$STAGE_DIR")
STAGE_WORK_DIR=$(mktemp -d)
export STAGE BASE_DIR STAGE_WORK_DIR SUB_STAGE_DIR
trap 'rm -rf "$STAGE_WORK_DIR"' EXIT

log() {
    echo "$(date +%T) $*"
}

# With standard input as the script, or with arguments for bash, as pi-gen's.
# shellcheck disable=SC2120 # the scripts of the stage pass some
on_chroot() {
    HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
        chroot "$ROOTFS_DIR" /bin/bash -e "$@"
}
export -f log on_chroot

mount -t proc proc "$ROOTFS_DIR/proc"
mount -t sysfs -o ro sys "$ROOTFS_DIR/sys"
mount --rbind /dev "$ROOTFS_DIR/dev"
mount -t tmpfs run "$ROOTFS_DIR/run"
mount -t tmpfs tmp "$ROOTFS_DIR/tmp"

for SUB_STAGE_DIR in "$@"; do
    cd "$SUB_STAGE_DIR"
    for number in {00..99}; do
        if [[ -x $number-run.sh ]]; then
            log "$SUB_STAGE_DIR/$number-run.sh"
            "./$number-run.sh"
        fi
        if [[ -f $number-run-chroot.sh ]]; then
            log "$SUB_STAGE_DIR/$number-run-chroot.sh"
            # shellcheck disable=SC2119
            on_chroot <"$number-run-chroot.sh"
        fi
    done
done

#!/bin/bash
# Make a root file system by pi-gen's own engine: plain Debian as the first stage, then ours.
#
#   run.sh PIGEN WORK STAGE GROUND
#
# PIGEN is a checkout of pi-gen, which stays as it is; GROUND a packed file system; the result is WORK/<stage>/rootfs.
# To be called in a mount namespace of its own. RELEASE and SOURCE_DATE_EPOCH come from the environment.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here pigen=$1 work=$2 stage=$3

mkdir -p "$work/bin"
# pi-gen asks for this name of trixie's, and needs it for nothing but the question.
command -v qemu-arm >/dev/null || ln -s "$(command -v qemu-arm-static)" "$work/bin/qemu-arm"
cat >"$work/config" <<END
IMG_NAME=otppi-test
WORK_DIR='$work'
DEPLOY_DIR='$work/deploy'
STAGE_LIST='$here/stage-ground $stage'
EXPORT_CONFIG_DIR='$here/export'
TARGET_HOSTNAME=otppi
GIT_HASH=unknown
export OTPPI_GROUND='$4'
END
cd "$pigen"
PATH=$PATH:/usr/sbin:/sbin:$work/bin INITRD=No ./build.sh -c "$work/config"

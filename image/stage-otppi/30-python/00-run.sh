#!/bin/bash
# Lay out the locked wheels, and the script that installs them, for the next step, which has no network: the machine
# that builds fetches them.
set -eu

wheels="${ROOTFS_DIR}/usr/lib/otppi/wheels"
rm -rf "${wheels}"
install -d "${wheels}"
if [ -n "${OTPPI_WHEELS:-}" ]; then
    cp "${OTPPI_WHEELS}"/* "${wheels}/"
else
    architecture=$(sed -n '/^Package: dpkg$/,/^$/s/^Architecture: //p' "${ROOTFS_DIR}/var/lib/dpkg/status")
    python=$(readlink "${ROOTFS_DIR}/usr/bin/python3")
    "${STAGE_DIR}/../wheels.sh" "${wheels}" "${architecture}" "${python#python}"
fi
install --mode=0755 files/make-environment.sh "${wheels}/make-environment.sh"

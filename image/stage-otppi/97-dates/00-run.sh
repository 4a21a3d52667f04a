#!/bin/bash
# Nothing is younger than the source that it was made from. Python files of Debian's packages keep their dates, which are
# the package's own: their bytecode holds them. What is mounted while the image is made is out of reach.
set -eu

cd "${ROOTFS_DIR}"
if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
    find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp \) -prune -o \
        -newermt "@${SOURCE_DATE_EPOCH}" ! \( -name '*.py' ! -path './usr/lib/otppi/*' -path './usr/*' \) \
        -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +
fi

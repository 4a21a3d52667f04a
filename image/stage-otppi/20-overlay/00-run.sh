#!/bin/bash
# Copy rootfs-overlay/ onto the device's root, with owners and modes of modes.txt. A checkout keeps neither.
set -eu

overlay=$(realpath "${STAGE_DIR}/../../rootfs-overlay")

while read -r mode owner group path; do
    case "$mode" in
    '' | '#'*) continue ;;
    esac
    # Numbers of the device's users, not of the build machine's.
    uid=$(awk -F: -v name="$owner" '$1 == name { print $3 }' "${ROOTFS_DIR}/etc/passwd")
    gid=$(awk -F: -v name="$group" '$1 == name { print $3 }' "${ROOTFS_DIR}/etc/group")
    if [ -z "$uid" ] || [ -z "$gid" ]; then
        echo "$path belongs to $owner:$group, whom the device does not know" >&2
        exit 1
    fi
    install -D --mode="$mode" --owner="$uid" --group="$gid" "${overlay}${path}" "${ROOTFS_DIR}${path}"
done <"${overlay}/modes.txt"

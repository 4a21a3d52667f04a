#!/usr/bin/env bash
# Turn an image with a boot and a root partition, as pi-gen makes it, into the layout of the device's card: the root as
# a slot of fixed size, and the data partition behind it. image/README.md, "Storage", has the picture.
#
#   image/layout.sh IMAGE
#
# Needs no root and no loop device. The image is replaced whole or not at all. The disk keeps its id, by which the boot
# partition and the kernel's command line name the partitions.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

readonly root_mib=3072 data_mib=128 sectors_of_mib=2048
# Each card has the same; nothing finds the data partition by it.
readonly data_uuid=7d1f0a52-3c1b-4c55-9a3e-0a7f6e2d4b10
# e2fsprogs take it for the present, so that two builds are equal.
export E2FSPROGS_FAKE_TIME=${SOURCE_DATE_EPOCH:-$(date +%s)}

main() {
    [[ $# == 1 && -f $1 ]] || fail "usage: image/layout.sh IMAGE"
    image=$(realpath "$1")
    work=$(mktemp -d "$image.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    card=$work/card said=$work/said
    read_table
    cp --preserve=mode "$image" "$card"
    make_root
    write_table
    make_data
    mv "$card" "$image"
}

read_table() {
    local table
    table=$(sfdisk --dump "$image" 2>"$said") || fail "$image has no partition table"
    grep -q '^label: dos$' <<<"$table" || fail "$image has no MBR"
    (($(grep -c ' : start=' <<<"$table") == 2)) || fail "$image must have two partitions: boot and root"
    head=$(sed '/^$/,$d' <<<"$table")
    boot=$(sed -n 's/.*1 : \(start=\)/\1/p' <<<"$table")
    root_start=$(sed -n 's/.*2 : start= *\([0-9]*\),.*type=83.*/\1/p' <<<"$table")
    [[ $root_start ]] || fail "the second partition of $image is not one of Linux"
    data_start=$((root_start + root_mib * sectors_of_mib))
}

make_root() {
    # e2fsprogs find a file system within a file by this.
    local root="$card?offset=$((root_start * 512))"
    check "$root" || fail "the root of $image is damaged"
    truncate --size=">$((data_start * 512))" "$card"
    # One that is larger than the slot shrinks, if it is not full.
    resize2fs "$root" "${root_mib}M" &>"$said" || fail "the root does not fit into $root_mib MiB"
    check "$root" || fail "the root was damaged"
    same_dates "$root"
}

check() {
    e2fsck -f -p "$1" &>"$said" || (($? == 1))
}

# Not all programs of e2fsprogs know that the present is another time.
same_dates() {
    debugfs -w -f /dev/stdin "$1" &>"$said" <<END
set_current_time @$E2FSPROGS_FAKE_TIME
set_super_value lastcheck @$E2FSPROGS_FAKE_TIME
set_super_value wtime @$E2FSPROGS_FAKE_TIME
close_filesys -a
END
}

write_table() {
    # What was behind the root goes.
    truncate --size=$((data_start * 512)) "$card"
    truncate --size="+${data_mib}M" "$card"
    sfdisk "$card" &>"$said" <<END || fail "the partition table cannot be written"
$head

$boot
start=$root_start, size=$((root_mib * sectors_of_mib)), type=83
start=$data_start, size=$((data_mib * sectors_of_mib)), type=83
END
}

# Made here, not on the device, where a power cut at the first start could leave half of a file system. The sizes of
# blocks and inodes are those of the grown partition; nothing is kept back for root.
make_data() {
    truncate --size="${data_mib}M" "$work/data"
    mke2fs -t ext4 -L otppi-data -U "$data_uuid" -m 0 -b 4096 -i 16384 -E "hash_seed=$data_uuid,root_owner=0:0" \
        "$work/data" &>"$said" || fail "the data partition cannot be made"
    # With all its zeros: bmaptool leaves a card as it was where the image has a hole, and behind a new journal the end
    # of an older one would be taken for a part of it.
    dd if="$work/data" of="$card" bs=1M oflag=seek_bytes conv=notrunc status=none seek=$((data_start * 512))
}

fail() {
    printf 'layout: %s\n' "$1" >&2
    [[ ! -s ${said-} ]] || cat "$said" >&2
    exit 1
}

main "$@"

#!/usr/bin/env bash
# Build the image for a Raspberry Pi: dist/otppi-VERSION-arm64.img.xz and what belongs to it.
#
#   image/build.sh [--check]
#
# --check only looks whether everything that is needed is there. Read from the environment:
#   PIGEN_DIR         a checkout of pi-gen (branch arm64) to use instead of fetching the one of image/pi-gen.commit
#   IMAGE_DOCKER=1    build in pi-gen's container, for people without Debian
#   WPA_COUNTRY       the radio's country until the device is set up, two letters
#   OTPPI_BASE_URL    where the image will be offered, for the list of Raspberry Pi Imager
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly root=$PWD work=$PWD/build/image dist=$PWD/dist
readonly needed_gib=16
as_root=()
((EUID == 0)) || as_root=(sudo)
export OTPPI_ROOT=$root

main() {
    check_needs
    if [[ ${1-} == --check ]]; then
        say "everything that is needed is here"
        return
    fi
    export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    local pigen
    pigen=$(pigen_folder)
    say "fetching the wheels of requirements.lock"
    rm -rf "$work/wheels"
    image/wheels.sh "$work/wheels" arm64
    prepare "$pigen"
    build "$pigen"
    say "laying out the card"
    image/layout.sh "$work/deploy/otppi.img"
    say "compressing and describing the image in $dist"
    .venv/bin/python -m image.release --image "$work/deploy/otppi.img" \
        --packages "$work/deploy/otppi.dpkg-status" --out "$dist" --base-url "${OTPPI_BASE_URL:-}"
}

# What is needed ------------------------------------------------------------------------------------------------------

check_needs() {
    local missing=()
    [[ $root != *" "* ]] || missing+=("a path without a space (pi-gen cannot build in '$root')")
    [[ -x .venv/bin/python ]] || missing+=("the Python environment: make setup")
    need_programs git xz bmaptool:bmap-tools
    need_programs sfdisk:fdisk mke2fs:e2fsprogs e2fsck:e2fsprogs resize2fs:e2fsprogs debugfs:e2fsprogs
    if [[ ${IMAGE_DOCKER:-0} == 1 ]]; then
        docker_answers || missing+=("a running Docker that you may use (not rootless: pi-gen's container is privileged)")
        need_emulation
    else
        need_root
        need_programs "${pigen_programs[@]}"
        need_emulation
        need_file_systems
    fi
    need_space
    ((${#missing[@]} == 0)) || fail "the image cannot be built here. Missing:" "${missing[@]/#/  - }"
}

# pi-gen's own list (its file `depends`), so that they are missed before anything is fetched.
readonly pigen_programs=(
    quilt parted debootstrap zerofree zip mkdosfs:dosfstools mke2fs:e2fsprogs capsh:libcap2-bin bsdtar:libarchive-tools
    rsync curl xxd file lsmod:kmod bc gpg pigz arch-test qemu-arm:qemu-user-binfmt losetup:mount
)

need_programs() {
    local entry
    for entry in "$@"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${entry%:*}" >/dev/null ||
            missing+=("the program ${entry%:*} (Debian's package ${entry#*:})")
    done
}

need_root() {
    if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
        missing+=("root: type sudo true first, or build with IMAGE_DOCKER=1")
    fi
}

docker_answers() {
    docker info --format '{{.SecurityOptions}}' 2>/dev/null | grep -qv rootless
}

need_emulation() {
    case $(uname -m) in
    aarch64 | arm64) return ;;
    esac
    if ! compgen -G '/proc/sys/fs/binfmt_misc/qemu-aarch64*' >/dev/null; then
        missing+=("programs for arm64 must run here: packages qemu-user-binfmt (or qemu-user-static) and binfmt-support")
    fi
}

need_file_systems() {
    local name
    for name in ext4 vfat; do
        grep -qw "$name" /proc/filesystems || modprobe --dry-run --quiet "$name" ||
            missing+=("the file system $name in this kernel")
    done
    [[ -e /dev/loop-control ]] || missing+=("loop devices (/dev/loop-control)")
}

need_space() {
    local free_gib
    mkdir -p "$work"
    free_gib=$(($(stat --file-system --format='%a * %S' "$work") >> 30))
    ((free_gib >= needed_gib)) || missing+=("$needed_gib GiB of disk space in $work: $free_gib GiB are free")
}

# pi-gen --------------------------------------------------------------------------------------------------------------

pigen_folder() {
    if [[ -n ${PIGEN_DIR:-} ]]; then
        grep -q '^export ARCH=arm64$' "$PIGEN_DIR/build.sh" || fail "PIGEN_DIR=$PIGEN_DIR is not pi-gen's branch arm64"
        realpath "$PIGEN_DIR"
        return
    fi
    local folder=$work/pi-gen commit
    commit=$(<image/pi-gen.commit)
    if [[ $(git -C "$folder" rev-parse HEAD 2>/dev/null) != "$commit" ]] || [[ ! -e $folder/.git ]]; then
        say "fetching pi-gen $commit" >&2
        rm -rf "$folder"
        git init --quiet "$folder"
        git -C "$folder" fetch --quiet --depth 1 https://github.com/RPi-Distro/pi-gen "$commit"
        git -C "$folder" -c advice.detachedHead=false checkout --quiet FETCH_HEAD
    fi
    echo "$folder"
}

# Write what differs from build to build. pi-gen's own files stay as they are, but for the marks that it reads itself.
prepare() {
    local pigen=$1 topic git_hash
    git_hash=$(git -C "$pigen" rev-parse HEAD 2>/dev/null) || git_hash=unknown
    [[ ! -e $work/deploy ]] || "${as_root[@]}" rm -rf "$work/deploy"
    rm -rf "$work/export-image"
    cp -a "$pigen/export-image" "$work/export-image"
    # They would ask for a new user at the first boot, fill the caches again and put a foreign name server in.
    for topic in 01-user-rename 02-set-sources 03-network; do
        [[ -d $work/export-image/$topic ]] || fail "this pi-gen has no export-image/$topic: see image/README.md"
        touch "$work/export-image/$topic/SKIP"
    done
    cat >"$work/config" <<END
OTPPI_ROOT='$root'
export OTPPI_WHEELS='$work/wheels'
export SOURCE_DATE_EPOCH='$SOURCE_DATE_EPOCH'
WPA_COUNTRY='${WPA_COUNTRY:-}'
source '$root/pi-gen-config'
GIT_HASH='$git_hash'
IMG_DATE='$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%d)'
IMG_FILENAME=otppi
EXPORT_CONFIG_DIR='$work/export-image'
END
}

build() {
    local pigen=$1
    # Only our own stage gives an image; this is how pi-gen wants to be told.
    touch "$pigen/stage2/SKIP_IMAGES"
    if [[ ${IMAGE_DOCKER:-0} == 1 ]]; then
        say "running pi-gen in its container (about an hour)"
        # It copies its results into ./deploy; our folders have the same paths inside as outside.
        (cd "$work" && PIGEN_DOCKER_OPTS="--volume $root:$root:ro ${PIGEN_DOCKER_OPTS:-}" \
            "$pigen/build-docker.sh" -c "$work/config")
        return
    fi
    say "running pi-gen (about an hour; $work/work/build.log)"
    printf "WORK_DIR='%s'\nDEPLOY_DIR='%s'\nCLEAN=1\n" "$work/work" "$work/deploy" >>"$work/config"
    (cd "$pigen" && "${as_root[@]}" ./build.sh -c "$work/config")
    "${as_root[@]}" chown -R "$(id -u):$(id -g)" "$work/deploy"
}

say() {
    echo "image: $*"
}

fail() {
    printf 'image: %s\n' "$1" >&2
    shift
    (($# == 0)) || printf '%s\n' "$@" >&2
    exit 1
}

main "$@"

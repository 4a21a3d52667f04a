#!/usr/bin/env bash
# Build the Debian package for a Raspberry Pi OS or Debian that is there already: dist/otppi_VERSION_ARCHITECTURE.deb.
#
#   provisioning/package.sh [ARCHITECTURE]
#
# ARCHITECTURE is arm64 or amd64; without it, this machine's. Needs no root. Read from the environment:
#   OTPPI_DIST        the folder for the package, instead of dist
#   OTPPI_WHEELS      a folder with wheels that were fetched before (image/wheels.sh, for both Pythons)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Debian 12 and 13, and the releases of Raspberry Pi OS that are made from them.
readonly pythons=(3.11 3.13)
readonly depends_on_pythons='python3 (>= 3.11), python3 (<< 3.14), python3 (<< 3.12) | python3 (>= 3.13)'
readonly stage=image/stage-otppi source=provisioning/package dist=${OTPPI_DIST:-dist}

main() {
    local architecture version package
    check_needs
    architecture=${1:-$(dpkg --print-architecture)}
    [[ $architecture == arm64 || $architecture == amd64 ]] || fail "no package for $architecture: arm64 or amd64"
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
    package=$dist/otppi_${version}_$architecture.deb
    export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    umask 022
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    chmod 755 "$tree"
    put_overlay
    put_program "$architecture"
    put_control "$version" "$architecture"
    mkdir -p "$dist"
    # Wheels are packed already; and gzip gives the same bytes on every machine.
    dpkg-deb --root-owner-group -Zgzip --build "$tree" "$package" >/dev/null
    say "$package ($(du -h "$package" | cut -f1))"
}

check_needs() {
    local program missing=()
    for program in dpkg-deb gzip git; do
        command -v "$program" >/dev/null || missing+=("the program $program")
    done
    [[ -x .venv/bin/python ]] || missing+=("the Python environment: make setup")
    ((${#missing[@]} == 0)) || fail "the package cannot be built here. Missing:" "${missing[@]/#/  - }"
}

put_overlay() {
    local mode owner group path
    while read -r mode owner group path; do
        [[ $mode == [0-9]* ]] || continue
        [[ $owner:$group == root:root ]] || fail "$path belongs to $owner:$group; in a package all is root's"
        install -D --mode="$mode" "rootfs-overlay$path" "$tree$path"
    done <rootfs-overlay/modes.txt
}

put_program() {
    local architecture=$1 python own=$tree/usr/lib/otppi
    install -d "$own/wheels"
    if [[ -n ${OTPPI_WHEELS:-} ]]; then
        install --mode=0644 "$OTPPI_WHEELS"/* "$own/wheels/"
    else
        for python in "${pythons[@]}"; do
            say "fetching the wheels of requirements.lock for Python $python on $architecture"
            image/wheels.sh "$own/wheels" "$architecture" "$python"
        done
    fi
    install "$stage/30-python/files/make-environment.sh" "$own/wheels/"
    install "$stage/95-raspberrypi/files/boot-additions.sh" "$source/adopt.sh" "$own/"
    install -d "$tree/usr/bin"
    ln -s ../lib/otppi/venv/bin/otppi "$tree/usr/bin/otppi"
    install -D --mode=0644 LICENSE "$tree/usr/share/doc/otppi/copyright"
}

put_control() {
    local version=$1 architecture=$2 size_kib depends units script
    size_kib=$(find "$tree" -type f -printf '%s\n' | awk '{ sum += $1 } END { print int(sum / 1024) + 1 }')
    depends=$(sed 's/#.*//' "$stage/10-packages/00-packages-nr" | xargs | sed 's/ /, /g')
    depends=${depends/, python3,/, $depends_on_pythons,}
    units=$(sed -n 's/^enable //p' rootfs-overlay/usr/lib/systemd/system-preset/50-otppi.preset | xargs)
    install -d "$tree/DEBIAN"
    sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size_kib/" \
        -e "s/@DEPENDS@/$depends/" "$source/control" >"$tree/DEBIAN/control"
    cp "$source/triggers" "$tree/DEBIAN/"
    for script in postinst prerm postrm; do
        sed "s/@UNITS@/$units/" "$source/$script" >"$tree/DEBIAN/$script"
        chmod 755 "$tree/DEBIAN/$script"
    done
}

say() {
    echo "package: $*"
}

fail() {
    printf 'package: %s\n' "$@" >&2
    exit 1
}

main "$@"

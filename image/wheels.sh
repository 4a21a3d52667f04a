#!/usr/bin/env bash
# Fetch what the device's Python environment is made from: the wheels of requirements.lock and one of the program.
#
#   image/wheels.sh FOLDER ARCHITECTURE [PYTHON]
#
# ARCHITECTURE is Debian's word (arm64, amd64), PYTHON the device's version (3.13). Hashes are checked; nothing is
# compiled, so this works for another architecture than the machine's. pip finds its index by its own configuration.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

main() {
    local folder=$1 machine python_version=${3:-3.13}
    case $2 in
    arm64) machine=aarch64 ;;
    amd64) machine=x86_64 ;;
    *) fail "no wheels for the architecture $2: arm64 or amd64" ;;
    esac
    [[ -x $python ]] || fail "$python is missing: type make setup first"
    mkdir -p "$folder"
    fetch_libraries "$folder" "$machine" "$python_version"
    build_program "$folder"
    install --mode=0644 requirements.lock "$folder/requirements.lock"
}

python=${OTPPI_PYTHON:-$PWD/.venv/bin/python}

fetch_libraries() {
    local folder=$1 machine=$2 python_version=$3 tags=() glibc=41
    # Newest first. Debian trixie has glibc 2.41; bookworm, whose Python is 3.11, has 2.36.
    [[ $python_version != 3.11 ]] || glibc=36
    for (( ; glibc >= 17; glibc--)); do
        tags+=(--platform "manylinux_2_${glibc}_$machine")
    done
    pip download --no-deps --require-hashes --only-binary :all: --implementation cp \
        --python-version "$python_version" --abi "cp${python_version/./}" --abi abi3 --abi none \
        "${tags[@]}" --platform "manylinux2014_$machine" \
        --dest "$folder" --requirement requirements.lock
}

build_program() {
    local source
    # A copy, because building leaves files in the tree and takes up those of an earlier build.
    source=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$source'" EXIT
    cp -r --no-preserve=mode,ownership otppi pyproject.toml README.md LICENSE "$source/"
    find "$source" -name __pycache__ -prune -exec rm -rf {} +
    (umask 022 && pip wheel --no-deps --no-index --no-build-isolation --wheel-dir "$1" "$source")
}

pip() {
    local output
    if ! output=$("$python" -m pip --disable-pip-version-check --no-input "$@" 2>&1 </dev/null); then
        fail "this failed: pip $1" "$output"
    fi
}

fail() {
    printf 'wheels: %s\n' "$@" >&2
    exit 1
}

main "$@"

#!/usr/bin/env bash
# Make .venv: the locked libraries and the command `otppi`, for developing and for trying things out.
#
#   provisioning/setup.sh [PROGRAM...]
#
# Each PROGRAM must be there too; Debian's package has the same name. Missing system packages are installed if
# that needs no question, otherwise the one command that installs them is printed. When nothing has changed,
# nothing is done.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
lock=requirements-dev.lock
# Each is written when its step is complete, so that an interrupted step is done again.
environment_mark=$venv/.environment-made-from
command_mark=$venv/.command-made-from

main() {
    local python environment
    python=$(system_python)
    environment=$(environment_inputs "$python")
    if is_current "$environment_mark" "$environment"; then
        install_missing "$(missing_programs "$@")"
    else
        install_missing "$(missing_venv_package "$python") $(missing_programs "$@")"
        make_environment "$python"
        echo "$environment" >"$environment_mark"
    fi
    if ! is_current "$command_mark" "$(command_inputs)" || [[ ! -x $venv/bin/otppi ]]; then
        make_command
        command_inputs >"$command_mark"
    fi
}

system_python() {
    local candidate
    # Debian's own comes first: its D-Bus bindings are built for no other.
    for candidate in /usr/bin/python3 "$(command -v python3)"; do
        if "$candidate" -ISc 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed, and python3 is $(python3 --version 2>&1 || true)"
}

environment_inputs() {
    # The folder too: the scripts in the environment hold its path.
    echo "$PWD" "$1" "$("$1" --version)" "$(cat "$lock" provisioning/setup.sh | sha256sum)"
}

command_inputs() {
    sha256sum pyproject.toml
}

is_current() {
    [[ -f $1 && $(<"$1") == "$2" ]]
}

missing_venv_package() {
    # Debian splits this module from python3; a plain `import ensurepip` would take an empty leftover folder.
    "$1" -Ic 'from ensurepip import bootstrap' 2>/dev/null || echo python3-venv
}

missing_programs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || echo "$program"
    done
}

install_missing() {
    local packages as_root=()
    read -r -d '' -a packages <<<"$1" || true
    if ((${#packages[@]} == 0)); then
        return
    fi
    if ! command -v apt-get >/dev/null; then
        fail "please install with this system's own tools what Debian calls: ${packages[*]}"
    fi
    if ((EUID != 0)); then
        as_root=(sudo -n)
        if ! sudo -n true 2>/dev/null; then
            fail "please type this, then the same command again:" "    sudo apt-get install -y ${packages[*]}"
        fi
    fi
    say "installing ${packages[*]}"
    # A fresh machine is often busy with its own updates; wait for those.
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    if ! "${apt[@]}" install -y --no-install-recommends "${packages[@]}" &>/dev/null </dev/null; then
        quietly "${apt[@]}" update
        quietly "${apt[@]}" install -y --no-install-recommends "${packages[@]}"
    fi
}

make_environment() {
    say "making $venv with $("$1" --version) ($1)"
    quietly "$1" -m venv --clear "$venv"
    say "installing the libraries of $lock (takes some minutes on a Raspberry Pi)"
    # Built packages only: building one would fetch tools that no lock names.
    pip_install --require-hashes --only-binary :all: -r "$lock"
    # The system's packages become visible last, so that pip cannot count one of them as installed.
    quietly "$1" -m venv --system-site-packages --without-pip "$venv"
}

make_command() {
    say "installing the command $venv/bin/otppi"
    pip_install --no-deps --no-index --no-build-isolation --editable .
}

pip_install() {
    quietly "$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input install "$@"
}

# Run a command without its chatter; all of it is shown if the command fails.
quietly() {
    local output
    if ! output=$("$@" 2>&1 </dev/null); then
        fail "this failed: $*" "$output"
    fi
}

say() {
    echo "setup: $*"
}

fail() {
    printf 'setup: %s\n' "$1" >&2
    shift
    (($# == 0)) || printf '%s\n' "$@" >&2
    exit 1
}

main "$@"

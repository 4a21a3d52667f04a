#!/bin/bash
# Make /usr/lib/otppi/venv: the libraries of requirements.lock and the program, compiled, from the wheels beside this
# script. Needs no network. The image runs it once; the Debian package on each system that it is installed on.
set -eu

wheels=$(dirname "$0")
venv=/usr/lib/otppi/venv
# The pip that comes with Debian's Python. It is run from its file, so that the device has none.
pip_wheel=$(echo /usr/share/python-wheels/pip-*.whl)

install_wheels() {
    PYTHONPATH=$pip_wheel PYTHONDONTWRITEBYTECODE=1 PIP_CONFIG_FILE=/dev/null \
        "$venv/bin/python" -m pip --isolated --quiet --disable-pip-version-check --no-cache-dir install \
        --no-index --find-links "$wheels" --only-binary :all: --no-compile --no-warn-script-location \
        --root-user-action ignore "$@" </dev/null
}

rm -rf "$venv"
python3 -m venv --without-pip "$venv"
install_wheels --require-hashes --requirement "$wheels/requirements.lock"
install_wheels --no-deps otppi
# The system's packages become visible last, so that pip cannot count one of them as installed.
python3 -m venv --without-pip --system-site-packages "$venv"

# Bytecode that Python takes as it is: it neither reads the source's date at each start nor tries to write anew.
# One process and one hash seed, so that two builds are equal.
PYTHONHASHSEED=0 python3 -m compileall -q -f --invalidation-mode unchecked-hash "$venv/lib" </dev/null
# Demonstrations of libraries and help for people at a prompt.
find "$venv/bin" -mindepth 1 ! -name 'python*' ! -name otppi -delete
rm -f "$venv/.gitignore"
"$venv/bin/otppi" --help >/dev/null </dev/null

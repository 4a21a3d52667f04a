#!/bin/bash
# Make the Python environment from what the step before has laid out.
set -eu

wheels=/usr/lib/otppi/wheels
"$wheels/make-environment.sh" </dev/null
rm -rf "$wheels"
# So that an owner can type what the pages and the diagnosis advise.
ln -sf /usr/lib/otppi/venv/bin/otppi /usr/bin/otppi

apt-get --yes purge python3-pip-whl </dev/null

#!/bin/bash
# What the archive has, for the packages of the next stage.
set -eu

apt-get -o Acquire::Languages=none update </dev/null

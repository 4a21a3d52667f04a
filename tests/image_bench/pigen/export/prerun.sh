#!/bin/bash
# In place of pi-gen's export, which needs loop devices and makes a card with a boot partition: nothing. The result is
# the root file system of the stage before.
set -eu

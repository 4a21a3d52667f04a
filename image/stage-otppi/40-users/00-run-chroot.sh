#!/bin/bash
# The users and folders of the overlay; nobody else can log in.
set -eu

systemd-sysusers </dev/null
# /run is the build machine's at this moment.
systemd-tmpfiles --create --exclude-prefix=/run otppi.conf </dev/null

# The user whom pi-gen insists on. Plain Debian has none.
first_user=${FIRST_USER_NAME:-}
if [ -n "$first_user" ] && id -u "$first_user" >/dev/null 2>&1; then
    userdel --force --remove "$first_user" 2>/dev/null </dev/null || [ $? -eq 12 ]
fi
rm -f /etc/sudoers.d/010_*-nopasswd /etc/sudoers.d/*_pi-nopasswd
usermod --password '*' root </dev/null

# A backup of the password file would still hold the removed user.
rm -f /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid-
if awk -F: '$2 !~ /^[!*]/ { exit 1 }' /etc/shadow; then :; else
    echo 'somebody has a password' >&2
    exit 1
fi

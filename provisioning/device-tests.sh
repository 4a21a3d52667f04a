#!/usr/bin/env bash
# Install what the tests of the device need beside the libraries: real services, which the tests start privately.
#
#   provisioning/device-tests.sh [--even-here]
#
# Installing some of these starts them on a running system (NetworkManager would look after its network), so it is
# done without asking only as root on a machine without systemd, such as a container. Elsewhere the tests that need
# them are skipped and say so; --even-here installs them all the same.
set -euo pipefail

packages=(
    bmap-tools chromium dbus dnsmasq-base dosfstools e2fsprogs exfatprogs fdisk fonts-dejavu-core gir1.2-umockdev-1.0
    iproute2 iptables iw mtools network-manager openssh-client openssh-server polkitd ppp python3-dbus
    python3-dbusmock python3-gi python3-networkmanager shellcheck systemd systemd-timesyncd udev umockdev util-linux
    xz-utils zbar-tools
)

# The message brokers, and a mail server.
packages+=(activemq mosquitto rabbitmq-server redis-server exim4-daemon-light)

# The booted image; for one of another processor, image/README.md.
packages+=(cpio kmod mmdebstrap qemu-utils zstd)
case $(dpkg --print-architecture) in
amd64) packages+=(qemu-system-x86) ;;
arm64) packages+=(qemu-system-arm) ;;
esac

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null) || status=none
    [[ $status == ii* ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
    exit 0
fi
if [[ ${1-} != --even-here ]] && { ((EUID != 0)) || [[ -d /run/systemd/system ]]; }; then
    echo "device-tests: some tests of the device will be skipped; sudo provisioning/device-tests.sh --even-here" \
        "installs for them: ${missing[*]}"
    exit 0
fi
echo "device-tests: installing ${missing[*]}"
# Nothing that is installed here may start.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
if ! output=$("${apt[@]}" install -y --no-install-recommends "${missing[@]}" 2>&1 </dev/null); then
    "${apt[@]}" update </dev/null >/dev/null
    output=$("${apt[@]}" install -y --no-install-recommends "${missing[@]}" 2>&1 </dev/null) || {
        echo "$output" >&2
        exit 1
    }
fi

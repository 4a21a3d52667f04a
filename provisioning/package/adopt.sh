#!/bin/sh
# Before the gateway's first start on a system that is in use: take over what is set on it, so that the start cuts
# nobody off who is at work on it by SSH, and leave alone what is not NetworkManager's. Says what was found.
set -eu

otppi() {
    # As its own user: what root writes into the state folder, the gateway could not change.
    setpriv --reuid=otppi --regid=otppi --clear-groups /usr/lib/otppi/venv/bin/otppi "$@" </dev/null
}

say() {
    echo "otppi: $*"
}

adopt_name_and_place() {
    name=$(uname -n)
    zone=$(timedatectl show --property=Timezone --value) || zone=
    country=$(iw reg get 2>/dev/null | sed -n '/^global/{n;s/^country \([A-Z][A-Z]\):.*/\1/p;}')
    # One by one: a value that is no good to us must not keep the others away.
    otppi settings set network.hostname "${name%%.*}" || true
    [ -z "$zone" ] || otppi settings set clock.time_zone "$zone" || true
    [ -z "$country" ] || otppi settings set wlan.country "$country" || true
}

adopt_ssh() {
    if systemctl is-active --quiet ssh.service || systemctl is-active --quiet ssh.socket; then
        for port in $(sshd -T 2>/dev/null | sed -n 's/^port //p'); do
            otppi port add "$port" --note "SSH, open because it was in use" >/dev/null
            say "port $port (SSH) stays open; all others but those of OTP-Pi are closed: otppi port add"
        done
    fi
}

adopt_radio() {
    if iw dev wlan0 link 2>/dev/null | grep -q '^Connected'; then
        otppi settings set wlan.enabled false
        # Answers may leave by Ethernet to whom asked by Wi-Fi.
        printf 'net.ipv4.conf.%s.rp_filter = 2\n' default all '*' >/etc/sysctl.d/90-otppi-two-ways.conf
        say "wlan0 is in use and stays so; your own access point instead: sudo otppi settings set wlan.enabled true"
    fi
}

# The wired interface by which the machine reaches others, or any.
wired_interface() {
    found=
    for path in /sys/class/net/*; do
        one=${path##*/}
        if [ ! -e "$path/device" ] || [ -e "$path/phy80211" ] || [ "$(cat "$path/type")" != 1 ]; then
            continue
        fi
        if [ -n "$(ip -4 route show default dev "$one")" ]; then
            echo "$one"
            return
        fi
        found=${found:-$one}
    done
    echo "$found"
}

adopt_ethernet() {
    wired=$(wired_interface)
    [ -n "$wired" ] || return 0
    otppi settings set ethernet.interface "$wired"
    addresses=$(ip -4 -oneline address show dev "$wired" scope global)
    [ -n "$addresses" ] || return 0
    # The factory's addresses of the access point would be in two places.
    if ip -4 route show dev "$wired" | grep -q '^192\.168\.0\.'; then
        otppi settings set wlan.address 192.168.50.11/24
        say "the access point has the address 192.168.50.11, because 192.168.0.0/24 is that of $wired"
    fi
    if [ "$(LC_ALL=C nmcli --get-values GENERAL.STATE device show "$wired")" != '100 (connected)' ]; then
        printf '[device-otppi-left-alone]\nmatch-device=interface-name:%s\nmanaged=0\n' "$wired" \
            >/etc/NetworkManager/conf.d/otppi-left-alone.conf
        nmcli device set "$wired" managed no
        say "$wired is looked after by another program than NetworkManager and is left to it"
        return 0
    fi
    # What came by DHCP is marked as dynamic, and comes again.
    static=$(echo "$addresses" | awk '!/ dynamic / { print $4; exit }')
    [ -n "$static" ] || return 0
    gateway=$(ip -4 route show default dev "$wired" | awk '$2 == "via" { print $3; exit }')
    servers=$(nmcli --get-values IP4.DNS device show "$wired" | tr '|' ' ')
    # shellcheck disable=SC2086 # a list of words
    set -- $servers
    otppi settings set ethernet.method static ethernet.address "$static" ethernet.gateway "$gateway" \
        ethernet.dns1 "${1-}" ethernet.dns2 "${2-}" && return 0
    otppi settings set ethernet.interface none
    say "the address of $wired cannot be taken over (see above); it stays as it is and is not looked after"
}

adopt_name_and_place
adopt_radio
adopt_ethernet
adopt_ssh

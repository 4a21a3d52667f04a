#!/bin/sh
# A Wi-Fi client: the second simulated radio in a network namespace of its own, with tools of its own.
#
#   station.sh make | join SSID PASSPHRASE SECONDS | lease SECONDS | leave | in COMMAND...
set -eu
toolbox=$(dirname "$0")
state=/run/station
client=wlan1

make() {
    [ ! -e /run/netns/station ] || return 0
    mkdir -p "$state"
    ip netns add station
    nmcli device set "$client" managed no
    radio=$(basename "$(readlink -f /sys/class/net/$client/phy80211)")
    iw phy "$radio" set netns name station
    ip -n station link set lo up
}

join() {
    leave
    # What is between quotation marks is taken as it is; passphrases of the tests have none.
    cat >"$state/wpa.conf" <<EOF
ctrl_interface=$state/wpa
network={
    ssid="$1"
    psk="$2"
    key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE
    sae_password="$2"
    ieee80211w=1
    scan_ssid=1
}
EOF
    ip netns exec station wpa_supplicant -B -q -i "$client" -D nl80211 -c "$state/wpa.conf" -P "$state/wpa.pid" \
        -f "$state/wpa.log"
    until ip netns exec station wpa_cli -p "$state/wpa" -i "$client" status 2>/dev/null | grep -q '^wpa_state=COMPLETED'; do
        [ "$3" -gt 0 ] || return 1
        set -- "$1" "$2" $(($3 - 1))
        sleep 1
    done
}

lease() {
    cat >"$state/bound.sh" <<'EOF'
#!/bin/sh
[ "$1" = bound ] || exit 0
env >/run/station/lease
ip address add "$ip/$mask" dev "$interface"
ip route replace default via "$router"
EOF
    chmod 755 "$state/bound.sh"
    ip netns exec station "$toolbox/busybox" udhcpc -i "$client" -n -q -f -t "$1" -T 1 -s "$state/bound.sh" >&2
    sed -n 's/^\(ip\|mask\|router\|dns\|lease\|domain\|serverid\)=/\1=/p' "$state/lease"
}

leave() {
    if [ -e "$state/wpa.pid" ]; then
        kill "$(cat "$state/wpa.pid")" 2>/dev/null || true
        while [ -e "$state/wpa.pid" ]; do sleep 0.2; done
    fi
    rm -f "$state/lease"
    ip -n station address flush dev "$client"
}

what=$1
shift
case $what in
make) make ;;
join) join "$@" ;;
lease) lease "$@" ;;
leave) leave ;;
in) exec ip netns exec station "$@" ;;
esac

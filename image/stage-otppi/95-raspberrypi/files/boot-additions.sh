#!/bin/bash
# Add to a Raspberry Pi's config.txt and cmdline.txt what is in usr/share/otppi/, or take it out again.
#
#   boot-additions.sh add|remove BOOT_FOLDER SHARE_FOLDER
#
# The lines stand between two marks, and the second names the words that were added to cmdline.txt: what somebody else
# had written there stays. Adding again puts the present additions in the place of older ones.
set -eu

action=$1 boot=$2 share=$3
begin='# OTP-Pi:' end='# OTP-Pi: end, in cmdline.txt:'

# In one step: without these files the board does not start.
write() {
    cat >"$1.new"
    sync "$1.new"
    mv "$1.new" "$1"
}

config=$(sed "/^$begin/,/^$end/d" "$boot/config.txt")
read -r -a ours <<<"$(sed -n "s/^$end//p" "$boot/config.txt")" || true
read -r -a words <"$boot/cmdline.txt" || true
wanted=()
if [ "$action" = add ]; then
    read -r -a wanted <"$share/cmdline.txt.append" || true
fi

has() {
    case " $2 " in
    *" $1 "*) return 0 ;;
    esac
    return 1
}

line=
for word in "${words[@]}"; do
    if ! has "$word" "${ours[*]}" || has "$word" "${wanted[*]}"; then
        line="${line:+$line }$word"
    fi
done
added=
for word in "${wanted[@]}"; do
    if has "$word" "${ours[*]}" || ! has "$word" "$line"; then
        added="$added $word"
    fi
    has "$word" "$line" || line="${line:+$line }$word"
done
if [ "$action" = add ]; then
    config="$config"$'\n'"$(cat "$share/config.txt.append")"$'\n'"$end$added"
fi
echo "$config" | write "$boot/config.txt"
echo "$line" | write "$boot/cmdline.txt"

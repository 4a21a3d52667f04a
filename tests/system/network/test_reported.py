from ipaddress import IPv4Interface

import pytest

from otppi.system.network.reported import Reported, channel_of, interface_state, reason_text


def test_a_device_is_told_in_the_words_of_the_product():
    state = interface_state(
        Reported(
            interface="wlan0",
            kind=2,
            state=100,
            flags=0x10003,
            profile="otppi-access-point",
            addresses=({"address": "192.168.0.11", "prefix": 24},),
            mode=3,
            ssid="OTP-Pi",
            frequency_mhz=2437,
            protected_frames=2,
            key_management="wpa-psk",
        ),
        radio_can_wpa3=True,
    )
    assert (state.kind, state.state, state.mode, state.channel) == ("wifi", "activated", "ap", 6)
    assert state.addresses == (IPv4Interface("192.168.0.11/24"),)
    assert state.has_carrier is True
    assert state.security == "wpa2 and wpa3"


def test_what_is_unknown_is_called_unknown():
    state = interface_state(Reported(interface="x0", kind=77, state=5, flags=None), radio_can_wpa3=False)
    assert (state.kind, state.state) == ("type 77", "state 5")
    assert (state.has_carrier, state.gateway, state.security, state.channel) == (None, None, "", 0)
    assert "77" in reason_text(77)


@pytest.mark.parametrize(
    ("frequency_mhz", "channel"),
    [(2412, 1), (2472, 13), (2484, 14), (5180, 36), (5825, 165), (0, 0), (5955, 0)],
)
def test_a_frequency_is_a_channel(frequency_mhz, channel):
    assert channel_of(frequency_mhz) == channel

"""Output as iw 5.19 and 6.9 print it."""

import pytest

from otppi.model.errors import HostRefused
from otppi.system.network import radio
from otppi.system.network.radio import reads_country, reads_phy, reads_stations, set_country
from tests import needs

PI = """Wiphy phy0
\twiphy index: 0
\tSupported Ciphers:
\t\t* WEP40 (00-0f-ac:1)
\t\t* TKIP (00-0f-ac:2)
\t\t* CCMP-128 (00-0f-ac:4)
\t\t* CMAC (00-0f-ac:6)
\tSupported interface modes:
\t\t * IBSS
\t\t * managed
\t\t * AP
\t\t * P2P-client
\tBand 1:
\t\tFrequencies:
\t\t\t* 2412.0 MHz [1] (20.0 dBm)
\t\t\t* 2467.0 MHz [12] (disabled)
\tBand 2:
\t\tFrequencies:
\t\t\t* 5180.0 MHz [36] (20.0 dBm)
\t\t\t* 5260.0 MHz [52] (20.0 dBm) (no IR, radar detection)
\tSupported extended features:
\t\t* [ SAE_OFFLOAD ]: SAE offload support
"""
SIMULATED = """Wiphy phy1
\tDevice supports SAE with AUTHENTICATE command
\tSupported Ciphers:
\t\t* CCMP-128 (00-0f-ac:4)
\t\t* CMAC (00-0f-ac:6)
\tsoftware interface modes (can always be added):
\t\t * monitor
\tSupported interface modes:
\t\t * managed
\t\t * AP
\t\t * AP/VLAN
\tBand 1:
\t\t\t* 2437 MHz [6] (20.0 dBm)
"""


def test_a_radio_that_leaves_sae_to_its_firmware_has_no_wpa3():
    read = reads_phy(PI)
    assert (read.is_present, read.supports_ap, read.supports_wpa3) == (True, True, False)


def test_a_radio_that_lets_the_supplicant_do_sae_has_wpa3():
    assert reads_phy(SIMULATED).supports_wpa3


def test_a_radio_that_does_not_protect_frames_has_no_wpa3():
    assert not reads_phy(SIMULATED.replace("00-0f-ac:6", "00-0f-ac:5")).supports_wpa3


def test_clients_are_counted_with_their_signals():
    text = (
        "Station 02:00:00:00:01:00 (on wlan0)\n\tinactive time:\t20 ms\n\tsignal:  \t-38 [-38] dBm\n"
        "Station 02:00:00:00:02:00 (on wlan0)\n\tinactive time:\t9 ms\n"
    )
    assert reads_stations(text) == (-38, None)
    assert reads_stations("") == ()


def test_a_radio_that_only_joins_is_no_access_point():
    assert not reads_phy(PI.replace("\t\t * AP\n", "")).supports_ap
    # An access point in another list is none.
    assert not reads_phy("Wiphy phy0\nSupported interface modes:\n * managed\nOther:\n * AP\n").supports_ap


def test_no_output_is_no_radio():
    read = reads_phy("")
    assert (read.is_present, read.supports_ap, read.supports_wpa3) == (False, False, False)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("", ""),
        ("global\ncountry 00: DFS-UNSET\n\t(755 - 928 @ 2), (N/A, 20)\n", "00"),
        ("global\ncountry ID: DFS-JP\n\nphy#0\ncountry 99: DFS-UNSET\n", "ID"),
        ("global\ncountry 00: DFS-UNSET\n\nphy#0 (self-managed)\ncountry DE: DFS-ETSI\n", "DE"),
    ],
)
def test_the_country_in_force_is_found(text, country):
    assert reads_country(text) == country


@pytest.mark.parametrize("code", ["", "id", "IDN", "I;", "-h", "I\n"])
def test_what_is_no_country_never_reaches_iw(code, monkeypatch):
    monkeypatch.setattr(radio, "_IW", "/bin/false")
    with pytest.raises(HostRefused, match="NotACountry"):
        set_country(code)


def test_a_machine_without_a_radio_or_without_iw_has_none(monkeypatch):
    monkeypatch.setattr(radio, "_IW", "/nowhere/iw")
    assert not radio.present_radio().is_present
    assert radio.present_country() == ""


def test_the_radio_of_this_machine_is_read():
    needs.programs("iw")
    needs.device("/sys/class/ieee80211/phy0")
    read = radio.present_radio()
    assert read.is_present
    assert radio.present_country()

"""The same image on a second card: nothing that is secret or a name is the same."""

import pytest

from tests.image_bench.machine import Board, Machine

KEYS = ("keys/born.json", "keys/device.key", "tls/tls.key", "tls/tls.crt")
BORN = ("/etc/machine-id", *(f"/var/lib/otppi/{one}" for one in KEYS))
EACH = "; ".join(f"sha256sum <{file} | cut -d ' ' -f 1" for file in BORN)


@pytest.fixture(scope="module")
def other(image):
    with Machine(image, Board(mac="52:54:00:65:43:21")) as other:
        other.power_on()
        other.wait_for("systemctl is-active otppi", limit_s=240)
        yield other


def test_two_cards_have_different_secrets_and_names(machine, other):
    ours, theirs = (one.run(EACH).said.split() for one in (machine, other))
    assert len(ours) == len(theirs) == len(BORN)
    assert set(ours).isdisjoint(theirs)


def test_two_cards_have_different_networks(machine, other):
    names = [
        one.wait_for("nmcli -g 802-11-wireless.ssid connection show otppi-access-point", limit_s=120)
        for one in (machine, other)
    ]
    assert all(name.startswith("OTP-Pi-") for name in names)
    assert names[0] != names[1]

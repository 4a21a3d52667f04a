"""The same image on a second card: nothing that is secret or a name is the same."""

import pytest

from tests.image_bench.machine import Board, Machine

BORN = ("/etc/machine-id", "/data/otppi/keys/born.json", "/data/otppi/keys/device.key")
EACH = "; ".join(f"sha256sum <{file}" for file in BORN)
CERTIFICATE = "find /data/otppi -name '*.pem' -exec sha256sum {} + | cut -d ' ' -f 1"


@pytest.fixture(scope="module")
def other(image):
    with Machine(image, Board(mac="52:54:00:65:43:21")) as other:
        other.power_on()
        other.wait_for("systemctl is-active otppi", limit_s=240)
        yield other


def test_two_cards_have_different_secrets_and_names(machine, other):
    for command in (EACH, CERTIFICATE):
        ours, theirs = (one.run(command).said.split() for one in (machine, other))
        assert len(ours) == len(theirs) > 0
        assert set(ours).isdisjoint(set(theirs) - {"-"}), command


def test_two_cards_have_different_networks(machine, other):
    names = [
        one.run("nmcli -g 802-11-wireless.ssid connection show otppi-access-point").said
        for one in (machine, other)
    ]
    assert all(name.startswith("OTP-Pi-") for name in names)
    assert names[0] != names[1]

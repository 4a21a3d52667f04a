"""What the gateway's user may ask of the system, asked of a real polkitd and of a real systemd."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rootfs_overlay.booted import BootedOverlay

_ACTIONS = Path("/usr/share/polkit-1/actions")
_NM = "org.freedesktop.NetworkManager"
_MANAGE_UNITS = "org.freedesktop.systemd1.manage-units"
ALLOWED = {
    f"{_NM}.settings.modify.system",
    f"{_NM}.settings.modify.hostname",
    f"{_NM}.network-control",
    f"{_NM}.enable-disable-wifi",
    f"{_NM}.checkpoint-rollback",
    f"{_NM}.wifi.share.protected",
    "org.freedesktop.timedate1.set-time",
    "org.freedesktop.timedate1.set-timezone",
    "org.freedesktop.timedate1.set-ntp",
    "org.freedesktop.login1.reboot",
    "org.freedesktop.login1.reboot-multiple-sessions",
    "org.freedesktop.login1.power-off",
    "org.freedesktop.login1.power-off-multiple-sessions",
}
# Known to polkit only where systemd-resolved is installed, which would take over this machine's resolver.
OF_RESOLVED = {f"org.freedesktop.resolve1.set-{what}" for what in ("dns-servers", "llmnr", "mdns")}
# The files of the actions say that who may restart the board may also tell those logged in why; rules have no say.
IMPLIED = {"org.freedesktop.login1.set-wall-message"}
UNITS = {
    ("otppi-firewall.service", "restart"),
    ("otppi-firewall.service", "reload"),
    ("otppi-dhcp.service", "start"),
    ("otppi-dhcp.service", "restart"),
    ("otppi-wifi-country.service", "start"),
    ("otppi-wifi-country.service", "restart"),
    ("otppi-mobile.service", "start"),
    ("otppi-mobile.service", "restart"),
    ("otppi-mobile.service", "stop"),
    ("otppi-rtc-save.service", "start"),
    ("otppi-rtc-save.service", "restart"),
    ("systemd-timesyncd.service", "restart"),
}
USB_RESTART = (
    "otppi-usb-restart@1-1.service",
    "otppi-usb-restart@1-1.3.service",
    "otppi-usb-restart@12-4.1.10.service",
)
NO_USB_RESTART = (
    "otppi-usb-restart@.service",
    "otppi-usb-restart@usb1.service",
    "otppi-usb-restart@1-1..service",
    "otppi-usb-restart@1-1:1.0.service",
    "otppi-usb-restart@../../x.service",
    "otppi-usb-restart@1-1.3.service.service",
    "otppi-usb-restart@1-1.3 --help.service",
    "otppi-usb-restart@1-1.3.service\n",
    "x\notppi-usb-restart@1-1.3.service",
    "otppi-usb-restart@1-1.3.timer",
    "otppi-usb-restart@1-1x3.service",
    "otppi-usb-restart-1-1.3.service",
    "xotppi-usb-restart@1-1.3.service",
)
VERBS = (
    "start",
    "stop",
    "restart",
    "try-restart",
    "reload",
    "reload-or-restart",
    "kill",
    "reset-failed",
    "set-property",
)
_ALLOWED, _REFUSED = 0, 1


def known_actions() -> set[str]:
    """All actions that the packages on this machine know, pkexec's and systemd's among them."""
    texts = (file.read_text() for file in _ACTIONS.glob("*.policy"))
    return {action for text in texts for action in re.findall(r'<action id="([^"]+)"', text)}


class Asker:
    """A living process of a user, about which polkitd is asked."""

    def __init__(self, booted: BootedOverlay, user: str) -> None:
        self._booted = booted
        script = f"setpriv --reuid={user} --regid={user} --init-groups sleep 600 </dev/null >/dev/null 2>&1 & echo $!"
        self._pid = booted.run("sh", "-c", script).stdout.strip()

    def ask(self, action: str, **details: str) -> int:
        """Return pkcheck's exit code: 0 allowed, 1 refused, 2 only with an administrator's password."""
        extra = [word for name, value in details.items() for word in ("--detail", name, value)]
        return self._booted.run(
            "pkcheck", "--process", self._pid, "--action-id", action, *extra, check=False
        ).returncode

    def stop(self) -> None:
        self._booted.run("kill", self._pid)


@pytest.fixture(scope="module")
def gateway(booted: BootedOverlay) -> Iterator[Asker]:
    asker = Asker(booted, "otppi")
    yield asker
    asker.stop()


@pytest.fixture(scope="module")
def stranger(booted: BootedOverlay) -> Iterator[Asker]:
    asker = Asker(booted, "games")
    yield asker
    asker.stop()


def test_the_rules_are_read_without_a_complaint(booted, gateway):
    gateway.ask("org.freedesktop.login1.reboot")
    log = booted.run("journalctl", "--quiet", "--unit=polkit.service", "--output=cat").stdout
    assert "rules" in log
    assert "rror" not in log


def test_exactly_what_the_gateway_uses_is_allowed(gateway):
    actions = known_actions()
    assert actions >= ALLOWED | {_MANAGE_UNITS, "org.freedesktop.policykit.exec"}
    answers = {action: gateway.ask(action) for action in actions}
    assert {action for action, answer in answers.items() if answer == _ALLOWED} == ALLOWED | IMPLIED | (
        OF_RESOLVED & actions
    )
    # A plain no: not a question that somebody could be talked into answering.
    assert {
        answer for action, answer in answers.items() if action not in ALLOWED | IMPLIED | OF_RESOLVED
    } == {_REFUSED}


def test_exactly_the_named_units_and_verbs_are_allowed(gateway):
    units = {unit for unit, _ in UNITS} | {"otppi.service", "otppi-reset.service", "ssh.service", "__proto__"}
    answers = {
        (unit, verb): gateway.ask(_MANAGE_UNITS, unit=unit, verb=verb) for unit in units for verb in VERBS
    }
    assert {asked for asked, answer in answers.items() if answer == _ALLOWED} == UNITS
    assert gateway.ask(_MANAGE_UNITS, unit="otppi-dhcp.service") == _REFUSED
    assert gateway.ask(_MANAGE_UNITS, verb="restart") == _REFUSED


def test_the_usb_device_at_any_place_may_be_restarted_and_nothing_that_only_looks_like_it(gateway):
    answers = {
        (unit, verb): gateway.ask(_MANAGE_UNITS, unit=unit, verb=verb)
        for unit in USB_RESTART
        for verb in VERBS
    }
    assert {asked for asked, answer in answers.items() if answer == _ALLOWED} == {
        (unit, "start") for unit in USB_RESTART
    }
    assert {gateway.ask(_MANAGE_UNITS, unit=unit, verb="start") for unit in NO_USB_RESTART} == {_REFUSED}
    assert gateway.ask(_MANAGE_UNITS, unit=USB_RESTART[0]) == _REFUSED


def test_another_user_gains_nothing(stranger):
    assert {stranger.ask(action) for action in ALLOWED} & {_ALLOWED} == set()
    started = UNITS | {(unit, "start") for unit in USB_RESTART}
    assert all(stranger.ask(_MANAGE_UNITS, unit=unit, verb=verb) != _ALLOWED for unit, verb in started)


def test_systemd_does_for_the_gateway_what_the_rules_allow(booted):
    assert systemctl(booted, "otppi", "restart", "otppi-firewall.service") == 0
    assert systemctl(booted, "otppi", "start", "otppi-dhcp.service") == 0
    assert systemctl(booted, "otppi", "stop", "otppi-mobile.service") == 0
    assert booted.show("otppi-mobile.service", "ActiveState") == "inactive"
    assert systemctl(booted, "otppi", "start", USB_RESTART[0]) == 0


def test_systemd_refuses_the_rest(booted):
    assert systemctl(booted, "otppi", "stop", "otppi-firewall.service") != 0
    assert systemctl(booted, "otppi", "stop", "dbus.service") != 0
    assert systemctl(booted, "otppi", "enable", "otppi-mobile.service") != 0
    assert systemctl(booted, "otppi", "restart", USB_RESTART[0]) != 0
    assert systemctl(booted, "otppi", "start", "otppi-usb-restart@usb1.service") != 0
    assert systemctl(booted, "games", "restart", "otppi-firewall.service") != 0
    assert booted.show("otppi-firewall.service", "ActiveState") == "active"


def systemctl(booted: BootedOverlay, user: str, verb: str, unit: str) -> int:
    return booted.run_as(user, "systemctl", "--no-ask-password", verb, unit).returncode

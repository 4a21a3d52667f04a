"""Every unit starts under a real systemd and can do what it is for, and nothing else."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.rootfs_overlay.booted import BootedOverlay
from tests.rootfs_overlay.staged import instance_of

GATEWAY = "otppi.service"
RESET = "otppi-reset.service"
RTC_SAVE = "otppi-rtc-save.service"
# Whether it is there yet is chance for all but the unit that it starts.
_REPORT = "read /run/otppi-reset/sticks.json"

# What any program of the device may do; the rest is named unit by unit. A clock chip's bus is missing here.
EVERYWHERE = frozenset({"import the libraries", "read /sys/class"})
_USB_DRIVER = "/sys/bus/usb/drivers/usb"
_KERNEL = {"read /proc/meminfo", "read /proc/sys/kernel/random/boot_id"}
_RULES = {"use netlink", "load iptables rules", "load ip6tables rules"}
ALLOWED = {
    GATEWAY: _KERNEL
    | {
        "write /run/otppi",
        "write /run/systemd/timesyncd.conf.d",
        "write /var/lib/otppi",
        "read /var/lib/otppi/secret",
        "use IPv4",
        "use IPv6",
        "use netlink",
        "use local sockets",
        "send a packet",
        "listen on port 443",
        "reach D-Bus",
        "read the log",
        "open a serial port",
        "see other processes",
        "name who holds a port",
    },
    "otppi-firewall.service": _RULES | {"write /run/otppi-firewall", "read /var/lib/otppi/secret"},
    "otppi-first-boot.service": {
        "write /boot/firmware",
        "write /data/system/ssh",
        "write /run/issue.d",
        "write /run/otppi-first-boot",
        "read /boot/firmware/otppi.toml",
        "read /data/system/ssh/authorized_keys",
        "write /var/lib/otppi as its owner",
        "read /var/lib/otppi/secret as its owner",
    },
    "otppi-dhcp.service": {"write /etc/NetworkManager/dnsmasq-shared.d", "read /var/lib/otppi/secret"},
    # The right to name a country is the right to change rules as well.
    "otppi-wifi-country.service": _RULES | {"read /var/lib/otppi/secret"},
    "otppi-reset-watch.service": _KERNEL
    | {"write /run/otppi-reset", "use netlink", "mount", "unshare mounts"},
    RESET: _KERNEL
    | {
        "write /var/lib/otppi",
        "read /var/lib/otppi/secret",
        "use local sockets",
    },
    "otppi-mobile.service": _KERNEL
    | _RULES
    | {
        "write /run/otppi-mobile",
        "write /run/lock",
        "write /var/lib/otppi as its owner",
        "read /var/lib/otppi/secret as its owner",
        "open a serial port as the owner",
        "use IPv4",
        "use IPv6",
        "use local sockets",
        "open a serial port",
    },
    "otppi-ws-broker.service": {
        "read what it was given",
        "use IPv4",
        "use IPv6",
        "use local sockets",
        "send a packet",
    },
    RTC_SAVE: set(),
    # Nobody's device can be forced upon the driver (new_id), nor anything else of /sys be written.
    instance_of("otppi-usb-restart@.service"): {
        f"open {_USB_DRIVER}/{file} to write" for file in ("bind", "unbind")
    },
}


def runs(booted: BootedOverlay, unit: str) -> list[set[str]]:
    """Return what each run of a unit's program could do so far."""
    said = booted.run("cat", f"/run/said-by-{unit}", check=False).stdout
    return [set(json.loads(line)) for line in said.splitlines()]


def wait_for_runs(booted: BootedOverlay, unit: str, number: int) -> set[str]:
    """Return what the last of so many runs could do."""
    booted.wait(
        f"{unit} should have run {number} times",
        *("sh", "-c", f"wc -l </run/said-by-{unit}"),
        is_so=str(number),
    )
    return runs(booted, unit)[-1]


def report_a_stick(booted: BootedOverlay, text: str) -> None:
    """Replace the report as the watcher does it."""
    script = (
        "cd /run/otppi-reset && echo '{}' >new && chown root:otppi new && chmod 640 new && mv new sticks.json"
    )
    booted.run("sh", "-c", script.format(text))


@pytest.fixture(scope="module")
def everything_ran(booted: BootedOverlay) -> Iterator[BootedOverlay]:
    """All units have run once, the ones that wait for something included."""
    report_a_stick(booted, "first")
    for unit in ALLOWED:
        wait_for_runs(booted, unit, 1)
    return booted


@pytest.mark.parametrize("unit", ALLOWED)
def test_a_unit_can_do_what_it_is_for_and_nothing_else(everything_ran, unit):
    assert runs(everything_ran, unit)[0] - {_REPORT} == ALLOWED[unit] | EVERYWHERE


def test_nothing_fails(everything_ran):
    failed = everything_ran.run("systemctl", "--failed", "--plain", "--no-legend").stdout
    assert failed == "", everything_ran.console


def test_the_machine_below_cannot_be_changed_from_in_here(booted):
    for setting in ("kernel/panic", "fs/protected_regular", "vm/swappiness"):
        path = f"/proc/sys/{setting}"
        assert booted.run("sh", "-c", f"cat {path} >{path}", check=False).returncode != 0
    bounding = int(booted.run("awk", "/CapBnd/ {print $2}", "/proc/1/status").stdout, 16)
    sys_module, sys_rawio, sys_time = 16, 17, 25
    assert not any(bounding >> capability & 1 for capability in (sys_module, sys_rawio, sys_time))


def test_what_the_watcher_mounts_is_seen_by_nobody_else(everything_ran):
    assert everything_ran.run("test", "-e", "/run/otppi-reset/mounted").returncode == 0
    assert "/run/otppi-reset/probe" not in everything_ran.run("cat", "/proc/self/mountinfo").stdout


def test_each_new_report_about_sticks_is_looked_at(everything_ran):
    for number, text in ((2, "second"), (3, "third")):
        everything_ran.wait("the reset has not ended", *_is_waiting("otppi-reset.path"))
        report_a_stick(everything_ran, text)
        assert _REPORT in wait_for_runs(everything_ran, RESET, number)


def _is_waiting(unit: str) -> tuple[str, ...]:
    return ("sh", "-c", f"systemctl show {unit} -p SubState --value | grep -q waiting")


def test_a_restart_of_the_gateway_keeps_what_only_a_power_cut_may_forget(everything_ran):
    everything_ran.run("touch", "/run/otppi/journal")
    everything_ran.run("systemctl", "restart", GATEWAY)
    everything_ran.run("systemctl", "stop", GATEWAY)
    everything_ran.run("systemctl", "start", GATEWAY)
    assert everything_ran.run("test", "-e", "/run/otppi/journal").returncode == 0


def test_the_firewall_is_loaded_before_the_network_may_come_up(everything_ran):
    order = everything_ran.show("otppi-firewall.service", "Before").split()
    assert {"network-pre.target", "shutdown.target"} <= set(order)
    assert "sysinit.target" not in everything_ran.show("otppi-firewall.service", "After").split()
    assert everything_ran.show("otppi-firewall.service", "ActiveState") == "active"


def test_the_firewall_is_loaded_anew_by_reload_and_by_restart(everything_ran):
    unit = "otppi-firewall.service"
    before = len(runs(everything_ran, unit))
    for number, verb in enumerate(("reload", "restart"), start=1):
        everything_ran.run("systemctl", verb, unit)
        assert len(runs(everything_ran, unit)) == before + number


def test_the_first_boots_own_code_runs_within_the_restrictions(everything_ran):
    unit, drop_in = "otppi-first-boot.service", "/run/systemd/system/otppi-first-boot.service.d"
    command = everything_ran.run("cat", f"/usr/lib/systemd/system/{unit}").stdout
    arguments = re.search(r"^ExecStart=\S+ (.*)$", command, re.MULTILINE)[1]
    text = f"[Service]\nExecStart=\nExecStart=/usr/lib/otppi/gateway {arguments}\n"
    everything_ran.run("sh", "-c", f"mkdir -p {drop_in} && cat >{drop_in}/95-real.conf", stdin=text)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann"
    preset = f'ssid = "Toko"\ncountry = "SG"\nssh_key = "{key}"\n'
    everything_ran.run("sh", "-c", "cat >/boot/firmware/otppi.toml", stdin=preset)
    everything_ran.run("systemctl", "daemon-reload")
    try:
        everything_ran.run("systemctl", "start", unit)
        report = json.loads(everything_ran.run("cat", "/run/otppi-first-boot/report.json").stdout)
        shown = everything_ran.run("cat", "/run/issue.d/otppi.issue").stdout
        owners = everything_ran.run(
            *("stat", "--format=%U", "/var/lib/otppi/keys/born.json", "/run/issue.d"),
            *("/data/system/ssh/authorized_keys", "/data/system/ssh/ssh_host_ed25519_key"),
        ).stdout
        allowed = everything_ran.run("cat", "/data/system/ssh/authorized_keys").stdout
        brochure = everything_ran.run("cat", "/boot/firmware/otppi-brochure.txt").stdout
        note = everything_ran.run("cat", "/boot/firmware/otppi.toml").stdout
    finally:
        everything_ran.run("rm", "-r", drop_in)
        everything_ran.run("systemctl", "daemon-reload")
    assert (report["has_applied"], report["mistakes"], report["failures"]) == (True, {}, [])
    assert owners.split() == ["otppi", "root", "root", "root"]
    assert allowed == f"{key}\n"
    assert "Network: Toko" in shown
    assert "Network: Toko" in brochure
    assert all(line.startswith("#") for line in note.splitlines())
    assert everything_ran.run("systemctl", "is-failed", unit, check=False).stdout.strip() == "inactive"


def test_the_device_gets_its_secrets_before_anybody_reads_them(everything_ran):
    order = everything_ran.show("otppi-first-boot.service", "Before").split()
    assert {
        *("otppi.service", "otppi-dhcp.service", "otppi-wifi-country.service", "NetworkManager.service"),
        "getty-pre.target",
    } <= set(order)
    assert "boot-firmware.mount" in everything_ran.show("otppi-first-boot.service", "After").split()
    assert "boot-firmware.mount" not in everything_ran.show("otppi-first-boot.service", "Requires").split()


def test_the_gateways_own_code_runs_within_the_restrictions(everything_ran):
    """Its settings, keys, certificate, doors and the control socket; what a host has besides is not there."""
    drop_in = "/run/systemd/system/otppi.service.d"
    text = "[Service]\nTimeoutStartSec=40\nExecStart=\nExecStart=/usr/lib/otppi/gateway serve --device\n"
    everything_ran.run("sh", "-c", f"mkdir -p {drop_in} && cat >{drop_in}/95-gateway.conf", stdin=text)
    everything_ran.run("systemctl", "daemon-reload")
    try:
        # Waits until the gateway itself says that it is ready.
        everything_ran.run("systemctl", "restart", GATEWAY)
        answer = everything_ran.run_as("otppi", "/usr/lib/otppi/gateway", "diagnose", "--json").stdout
    finally:
        everything_ran.run("rm", "-r", drop_in)
        everything_ran.run("systemctl", "daemon-reload")
        everything_ran.run("systemctl", "restart", GATEWAY)
    levels = {one["name"]: one["level"] for one in json.loads(answer)}
    assert {levels[name] for name in ("gateway", "admin", "rest", "rest-tls")} == {"green"}, answer


def test_the_brokers_own_code_runs_within_the_restrictions(everything_ran):
    unit = "otppi-ws-broker.service"
    drop_in = f"/run/systemd/system/{unit}.d"
    command = everything_ran.run("cat", f"/usr/lib/systemd/system/{unit}").stdout
    arguments = re.search(r"^ExecStart=\S+ ws-broker (.*)$", command, re.MULTILINE)[1]
    text = f"[Service]\nExecStart=\nExecStart=/usr/lib/otppi/broker {arguments}\n"
    ask = "import http.client as http; one = http.HTTPConnection('127.0.0.1', 9000); one.request('GET', '/')"
    everything_ran.run("sh", "-c", f"mkdir -p {drop_in} && cat >{drop_in}/95-real.conf", stdin=text)
    everything_ran.run("systemctl", "daemon-reload")
    try:
        # Waits until the broker itself says that it is ready.
        everything_ran.run("systemctl", "restart", unit)
        said = everything_ran.run("python3", "-c", f"{ask}; print(one.getresponse().status)").stdout
        everything_ran.run("systemctl", "stop", unit)
        end = everything_ran.show(unit, "Result")
    finally:
        everything_ran.run("rm", "-r", drop_in)
        everything_ran.run("systemctl", "daemon-reload")
    assert (said, end) == ("401\n", "success")

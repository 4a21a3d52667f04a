import http.client
import json

import pytest

pytestmark = pytest.mark.short

ADMIN, REST, HTTPS, PORTAL, SSH = 8888, 8899, 443, 80, 22
# What a board without modem, clock chip and a way into the internet is advised of.
MISSING = {"modems", "real-time clock", "time server", "Ethernet"}
MEMORY_MIB = 250


def test_it_boots_without_a_failed_unit(machine):
    failed = machine.run("systemctl --failed --no-legend --plain").said
    assert failed == ""
    assert machine.run("systemctl is-system-running", check=False).said == "running"


def test_everything_that_shall_run_runs(machine):
    for unit in (
        "otppi",
        "otppi-firewall",
        "otppi-reset-watch",
        "NetworkManager",
        "systemd-resolved",
        "avahi-daemon",
    ):
        assert machine.run(f"systemctl is-active {unit}", check=False).said == "active", unit
    for unit in ("ModemManager", "ssh", "systemd-networkd"):
        assert machine.run(f"systemctl is-active {unit}", check=False).said == "inactive", unit


def test_diagnosis_finds_nothing_red(machine):
    done = machine.run("otppi diagnose --json", check=False)
    checks = {one["name"]: one for one in json.loads(done.said)}
    bad = {name: one["finding"] for name, one in checks.items() if one["level"] == "red"}
    assert bad == {}
    assert {name for name, one in checks.items() if one["level"] == "yellow"} <= MISSING, checks
    assert done.code == 0


def test_all_services_together_leave_room_on_a_board_of_1_gb(machine):
    said = machine.run("awk '/^MemTotal|^MemAvailable/ { print $2 }' /proc/meminfo").said
    total_kib, available_kib = map(int, said.split())
    assert (total_kib - available_kib) / 1024 <= MEMORY_MIB


def answers(machine, port):
    """Whether somebody speaks HTTP or SSH there, seen from Ethernet."""
    connection = http.client.HTTPConnection("127.0.0.1", machine.ports[port], timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except http.client.BadStatusLine as error:
        return bool(error.line.strip())
    except OSError:
        return False
    finally:
        connection.close()


def test_ethernet_sees_the_services_and_nothing_else(machine):
    machine.wait_for("ip -4 address show eth0 | grep -q 'inet 10.0.2.15/'")
    assert {port for port in (ADMIN, REST, PORTAL, SSH) if answers(machine, port)} == {ADMIN, REST}


def test_an_administrator_can_be_made(machine):
    machine.run("printf 'correct horse battery\\n' | otppi admin add owner --password-stdin")
    assert machine.run("otppi admin list").said.split() == ["owner", "active"]
    stored = machine.run("cat /var/lib/otppi/settings/admins.json").said
    assert "scrypt$" in stored
    assert "correct horse" not in stored
    machine.run("otppi admin remove owner")


def test_the_secrets_are_private(machine):
    assert machine.run("stat -c '%U:%G %a' /var/lib/otppi").said == "otppi:otppi 700"
    loose = machine.run("find /var/lib/otppi \\( ! -user otppi -o -perm /077 \\) -print").said
    assert loose == ""


def test_the_gateway_needs_no_root(machine):
    main = machine.run("systemctl show otppi -p MainPID --value").said
    assert machine.run(f"stat -c %U /proc/{main}").said == "otppi"


def test_the_log_is_in_memory(machine):
    assert machine.run("ls -A /var/log/journal 2>/dev/null || true").said == ""
    assert "/run/log/journal" in machine.run("journalctl --header | head -5").said

import json


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
    assert done.code == 0


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

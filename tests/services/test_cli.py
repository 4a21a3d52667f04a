"""The command line as a process, with and without a gateway that runs."""

import json
import os
import subprocess
import sys

import pytest

from otppi.lib.filelock import hold


def otppi(state_dir, *words, stdin="", check=None):
    done = subprocess.run(
        [sys.executable, "-m", "otppi", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OTPPI_STATE_DIR": str(state_dir)},
    )
    if check is not None:
        assert done.returncode == check, done.stderr
    return done


def test_everything_can_be_set_up_in_a_folder_that_is_not_there_yet(tmp_path):
    state = tmp_path / "new" / "state"
    otppi(
        state,
        "modem",
        "add",
        "--name",
        "telkomsel",
        "--port",
        "/dev/ttyUSB0",
        "--prefix",
        "62811, 62812",
        check=0,
    )
    otppi(state, "modem", "add", "--name", "other", "--port", "ttyUSB1", "--default", check=0)
    modems = json.loads(otppi(state, "modem", "list", "--json", check=0).stdout)
    assert [(one["name"], one["prefixes"], one["defaultModem"], one["active"]) for one in modems] == [
        ("telkomsel", ["62811", "62812"], False, True),
        ("other", [], True, True),
    ]
    otppi(state, "api-user", "add", "shop", "--password-stdin", stdin="long enough\n", check=0)
    otppi(state, "admin", "add", "owner", "--password-stdin", stdin="long enough too\n", check=0)
    otppi(state, "settings", "set", "api.http_port", "18899", check=0)
    assert otppi(state, "settings", "get", "api.http_port", check=0).stdout == "18899\n"
    assert state.stat().st_mode & 0o077 == 0
    everything = otppi(state, "settings", "get", check=0).stdout
    assert "long enough" not in everything
    assert "scrypt" not in everything
    otppi(state, "modem", "remove", "other", check=0)
    assert len(json.loads(otppi(state, "modem", "list", "--json").stdout)) == 1
    otppi(state, "settings", "reset", "api", check=0)
    assert otppi(state, "settings", "get", "api.http_port", check=0).stdout == "8899\n"
    assert otppi(state, "settings", "check", check=0).stdout == "all settings are well\n"


@pytest.mark.parametrize(
    ("words", "stdin", "says"),
    [
        (["settings", "set", "api.http_prt", "1"], "", "did you mean"),
        (["settings", "set", "api.http_port", "x"], "", "api.http_port"),
        (["settings", "set", "apii.http_port", "1"], "", "api"),
        (["settings", "get", "nothing"], "", "nothing"),
        (["settings", "reset", "nothing"], "", "nothing"),
        (["modem", "add", "--name", "x", "--port", "p", "--prefix", "0812"], "", "prefixes"),
        (["modem", "add", "--name", "x", "--port", "p;rm"], "", "port"),
        (["modem", "remove", "nobody"], "", "nobody"),
        (["api-user", "add", "shop", "--password-stdin"], "short\n", "password"),
        (["api-user", "add", "a:b", "--password-stdin"], "long enough\n", "colon"),
        (["api-user", "add", "shop", "--password-stdin"], "", "no password"),
    ],
)
def test_a_mistake_is_one_plain_line_and_exit_code_1(tmp_path, words, stdin, says):
    done = otppi(tmp_path / "state", *words, stdin=stdin)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.startswith("otppi: ")
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_wrong_usage_is_exit_code_2_and_help_is_everywhere(tmp_path):
    assert otppi(tmp_path, "settings", "set", "x").returncode == 2
    assert otppi(tmp_path, "nonsense").returncode == 2
    for words in ([], ["serve"], ["demo"], ["modem"], ["modem", "add"], ["settings", "export"], ["send"]):
        assert otppi(tmp_path, *words, "--help", check=0).stdout.startswith("Usage: ")


def test_sending_without_a_gateway_is_exit_code_3_and_the_diagnosis_is_red(tmp_path):
    done = otppi(tmp_path / "state", "send", "081200000001", "x")
    assert (done.returncode, done.stderr) == (3, "otppi: no gateway runs in this state folder\n")
    done = otppi(tmp_path / "state", "diagnose", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)[0]["level"] == "red"


def test_secrets_leave_only_with_a_passphrase_and_come_back(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    otppi(one, "modem", "add", "--name", "m", "--port", "ttyUSB0", check=0)
    modem_id = json.loads(otppi(one, "modem", "list", "--json").stdout)[0]["id"]
    otppi(one, "settings", "set", f"modems.{modem_id}.sim_pin", "--value-stdin", stdin="73915\n", check=0)
    assert all(b"73915" not in file.read_bytes() for file in one.rglob("*") if file.is_file())
    plain = otppi(one, "settings", "export", check=0).stdout
    assert "73915" not in plain
    sealed = otppi(one, "settings", "export", "--passphrase-stdin", stdin="a good phrase\n", check=0).stdout
    assert "73915" not in sealed
    file = tmp_path / "export.json"
    file.write_text(sealed)
    refused = otppi(two, "settings", "import", str(file), "--passphrase-stdin", stdin="another\n")
    assert refused.returncode == 1
    assert "passphrase" in refused.stderr
    otppi(two, "settings", "import", str(file), "--passphrase-stdin", stdin="a good phrase\n", check=0)
    assert otppi(two, "settings", "get", f"modems.{modem_id}.sim_pin", check=0).stdout == "true\n"
    file.write_text("no json")
    assert otppi(two, "settings", "import", str(file)).returncode == 1


def test_a_folder_that_somebody_changes_is_refused(tmp_path):
    with hold(tmp_path / "lock"):
        done = otppi(tmp_path, "settings", "set", "api.http_port", "1")
    assert done.returncode == 1
    assert "another command" in done.stderr


def test_a_running_gateway_acts_on_the_command_line_at_once(gateway, free_port):
    one = gateway()
    state = one.state_dir
    assert otppi(state, "send", "081200000001", "by hand", check=0).stdout == "sent in 1 part\n"
    otppi(state, "send", "081200000001", "-", stdin="from\nstdin\n", check=0)
    assert one.texts() == ["by hand", "from\nstdin"]
    assert otppi(state, "send", "abc", "x").returncode == 1
    checks = json.loads(otppi(state, "diagnose", "--json").stdout)
    assert {"gateway", "rest", "modem m0"} <= {check["name"] for check in checks}
    (modem,) = json.loads(otppi(state, "modem", "list", "--json", check=0).stdout)
    assert modem["state"] == "ready"
    line = one.sim.add("late")
    otppi(state, "modem", "add", "--name", "late", "--port", str(line.path), "--prefix", "62813", check=0)
    one.wait_until(lambda: one.state("late") == "ready")
    assert one.call("send-sms", receiver="081300000001", message="x").code == "0000"
    assert len(line.sent) == 1
    otppi(state, "modem", "remove", "late", check=0)
    one.wait_until(lambda: len(one.gateway.pool.snapshot()) == 1)
    otppi(state, "settings", "set", "sms.country_code", "65", check=0)
    assert one.call("send-sms", receiver="081200001", message="x").code == "0000"
    assert one.lines["m0"].sent[-1].number == "6581200001"


def test_an_unknown_outcome_is_exit_code_4(gateway):
    one = gateway()
    assert otppi(one.state_dir, "send", "6280000000002", "x").returncode == 4


def test_what_is_not_given_of_a_known_modem_stays_as_it_is(tmp_path):
    otppi(
        tmp_path,
        "modem",
        "add",
        "--name",
        "m",
        "--port",
        "ttyUSB0",
        "--prefix",
        "62811",
        "--default",
        check=0,
    )
    otppi(tmp_path, "modem", "add", "--name", "m", "--port", "ttyUSB1", check=0)
    (modem,) = json.loads(otppi(tmp_path, "modem", "list", "--json", check=0).stdout)
    assert (modem["port"], modem["prefixes"], modem["defaultModem"]) == ("ttyUSB1", ["62811"], True)
    otppi(
        tmp_path, "modem", "add", "--name", "m", "--port", "ttyUSB1", "--prefix", "", "--no-default", check=0
    )
    (modem,) = json.loads(otppi(tmp_path, "modem", "list", "--json", check=0).stdout)
    assert (modem["prefixes"], modem["defaultModem"]) == ([], False)


def test_what_only_reads_makes_no_folder(tmp_path):
    state = tmp_path / "nothing"
    assert otppi(state, "settings", "get", "api.http_port", check=0).stdout == "8899\n"
    assert otppi(state, "modem", "list", "--json", check=0).stdout == "[]\n"
    assert not state.exists()


def test_settings_that_cannot_live_together_are_refused(tmp_path):
    done = otppi(tmp_path, "settings", "set", "api.http_port", "8888")
    assert done.returncode == 1
    assert "the port of the admin pages" in done.stderr
    done = otppi(tmp_path, "settings", "set", "api.https_port", "8443")
    assert done.returncode == 1
    assert "the port of the admin pages" in done.stderr
    otppi(tmp_path, "settings", "set", "admin.https_enabled", "false", check=0)
    otppi(tmp_path, "settings", "set", "api.https_port", "8443", check=0)
    assert otppi(tmp_path, "settings", "set", "admin.https_enabled", "true").returncode == 1
    otppi(tmp_path, "modem", "add", "--name", "a", "--port", "ttyUSB0", check=0)
    done = otppi(tmp_path, "modem", "add", "--name", "b", "--port", "/dev/ttyUSB0")
    assert done.returncode == 1
    assert "same port" in done.stderr


def test_damage_is_reported_until_the_section_is_saved_again(tmp_path):
    otppi(tmp_path, "settings", "set", "otp.length", "8", check=0)
    (tmp_path / "settings" / "otp.json").write_text("{")
    for _ in range(2):
        done = otppi(tmp_path, "settings", "check")
        assert done.returncode == 1
        assert done.stdout.startswith("otp: ")
    otppi(tmp_path, "settings", "set", "otp.length", "7", check=0)
    otppi(tmp_path, "settings", "check", check=0)


def test_numbers_are_blocked_and_accounts_listed_by_hand(gateway, tmp_path):
    one = gateway()
    state = one.state_dir
    otppi(state, "block", "0812-0000-0001", check=0)
    assert one.call("send-sms", receiver="081200000001", message="x").code == "1301"
    otppi(state, "unblock", "081200000001", check=0)
    assert one.call("send-sms", receiver="081200000001", message="x").code == "0000"
    assert otppi(state, "block", "abc").returncode == 1
    (user,) = json.loads(otppi(state, "api-user", "list", "--json", check=0).stdout)
    assert user["user"] == "shop"
    assert "password" not in user
    assert "shop\tactive" in otppi(state, "api-user", "list", check=0).stdout
    otppi(tmp_path / "other", "admin", "add", "owner", "--password-stdin", stdin="long enough too\n", check=0)
    assert "owner" in otppi(tmp_path / "other", "admin", "list", check=0).stdout
    otppi(tmp_path / "other", "admin", "remove", "owner", check=0)
    assert otppi(tmp_path / "other", "admin", "list", check=0).stdout == ""
    assert otppi(state, "ussd", "m0", "*888#", check=0).stdout.strip()
    assert otppi(state, "ussd", "nobody", "*888#").returncode == 1


def test_prices_are_set_by_prefix_or_operator_and_shown(tmp_path):
    state = tmp_path / "state"
    otppi(state, "modem", "add", "--name", "m", "--port", "ttyUSB0", check=0)
    shown = otppi(state, "modem", "price", "m", "tri=50", "62811=7.5", "other=350", check=0).stdout
    assert shown == "62895+62896+62897+62898+62899=50\n62811=7.5\nother=350\n"
    assert otppi(state, "modem", "price", "m", check=0).stdout == shown
    for words in (["m", "0811=5"], ["m", "62811=5", "62811=6"], ["m", "nobody=5"], ["nobody", "other=5"]):
        done = otppi(state, "modem", "price", *words)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert otppi(state, "modem", "price", "m", check=0).stdout == shown
    assert "telkomsel\t" in otppi(state, "operators", check=0).stdout
    assert otppi(state, "route", "081200000001").returncode == 3


def test_a_menu_is_answered_at_the_terminal(gateway):
    one = gateway()
    ours, theirs = os.openpty()
    shown = subprocess.Popen(
        [sys.executable, "-m", "otppi", "ussd", "m0", "*123#"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OTPPI_STATE_DIR": str(one.state_dir)},
    )
    os.close(theirs)
    os.write(ours, b"2\n1\n")
    output, _ = shown.communicate(timeout=60)
    os.close(ours)
    assert shown.returncode == 0
    assert [line.removeprefix("Reply (none to end it): ") for line in output.splitlines()] == [
        *("1 Balance", "2 Packages", "0 Back"),
        *("1 Daily", "2 Weekly"),
        "Daily it is.",
    ]


def test_without_a_terminal_a_menu_is_answered_by_the_next_call(gateway):
    one = gateway()
    state = one.state_dir
    asked = otppi(state, "ussd", "m0", "*123#", check=0)
    assert asked.stdout == "1 Balance\n2 Packages\n0 Back\n"
    assert asked.stderr == "otppi: the network waits for a reply\n"
    document = json.loads(otppi(state, "ussd", "m0", "2", "--json", check=0).stdout)
    assert document["data"]["replyable"] is True
    otppi(state, "ussd", "m0", "--cancel", check=0)
    assert "was cancelled" in otppi(state, "ussd", "m0", "1").stderr
    assert otppi(state, "ussd", "m0").returncode == 2
    assert otppi(state, "ussd", "m0", "*1#", "--cancel").returncode == 2
    assert otppi(state, "ussd", "nobody", "--cancel").returncode == 1


def test_the_balance_is_asked_and_shown(gateway):
    one = gateway()
    state = one.state_dir
    assert otppi(state, "balance", check=0).stdout.split() == ["m0", "unknown"]
    assert "is not known" in otppi(state, "balance", "m0").stderr
    otppi(state, "settings", "set", "modems.m0.balance_ussd", "*123#>1", check=0)
    assert otppi(state, "balance", "m0", check=0).stdout.split()[:3] == ["m0", "12500", "2026-12-31"]
    (known,) = json.loads(otppi(state, "balance", "--json", check=0).stdout)
    assert (known["amount"], known["valid_until"]) == ("12500", "2026-12-31")
    refused = otppi(state, "settings", "set", "modems.m0.balance_ussd", "888")
    assert refused.returncode == 1
    assert "balance_ussd" in refused.stderr


def test_the_internet_settings_of_a_modem_are_taken_from_a_preset(tmp_path):
    otppi(tmp_path, "modem", "add", "--name", "m", "--port", "ttyUSB0", check=0)
    shown = otppi(tmp_path, "modem", "apn", "m", "smartfren", check=0).stdout
    assert shown == "Smartfren (XLSmart): APN smart, dial #777\n"
    keys = ("apn", "apn_username", "apn_password", "dial_number")
    values = [otppi(tmp_path, "settings", "get", f"modems.m.{key}", check=0).stdout.strip() for key in keys]
    assert values == ["smart", "smart", "true", "#777"]
    otppi(tmp_path, "modem", "apn", "m", "indosat", check=0)
    values = [otppi(tmp_path, "settings", "get", f"modems.m.{key}", check=0).stdout.strip() for key in keys]
    assert values == ["indosatgprs", "", "false", "*99#"]
    unknown = otppi(tmp_path, "modem", "apn", "m", "nobody")
    assert unknown.returncode == 1
    assert "telkomsel, byu, indosat" in unknown.stderr
    assert (
        otppi(tmp_path, "modem", "apn", "nobody", "tri").stderr
        == "otppi: modems.nobody: there is no such modem\n"
    )


def test_an_imei_with_a_slip_of_the_pen_or_of_another_modem_is_refused(tmp_path):
    def add(name, imei, check):
        return otppi(tmp_path, "modem", "add", "--name", name, "--imei", imei, check=check).stderr

    add("one", "490154203237518", 0)
    add("one", "490154203237518", 0)
    assert "one is wrong" in add("two", "356938035643808", 1)
    assert "that of one" in add("two", "490154203237518", 1)
    add("two", "356938035643800", 0)  # as some modems tell it, without a check digit
    assert "that of two" in add("three", "356938035643809", 1)


def test_errors_call_a_modem_by_its_name(tmp_path):
    otppi(tmp_path, "modem", "add", "--name", "m", "--port", "ttyUSB0", check=0)
    for words in (
        ("modem", "add", "--name", "m", "--prefix", "0812", "--port", "ttyUSB0"),
        ("modem", "add", "--name", "n", "--prefix", "0812", "--port", "ttyUSB1"),
        ("modem", "price", "m", "0811=5"),
        ("settings", "set", "modems.m.prefixes", "0812"),
    ):
        field = otppi(tmp_path, *words, check=1).stderr.removeprefix("otppi: ").partition(":")[0]
        assert field in ("modems.m.prefixes", "modems.n.prefixes", "modems.m.prices")


def test_where_there_is_nothing_to_show_it_is_said(gateway, tmp_path):
    done = otppi(tmp_path / "none", "modem", "list", check=0)
    assert done.stdout == ""
    assert "otppi modem found" in done.stderr
    one = gateway()
    assert otppi(one.state_dir, "inbox", "list", check=0).stderr == "otppi: no message has come\n"
    assert "no such" in otppi(one.state_dir, "inbox", "search", "x", check=0).stderr
    assert otppi(one.state_dir, "inbox", "list", "--json", check=0).stderr == ""


@pytest.mark.parametrize(
    "words", [["pin", "enter"], ["pin", "set"], ["pin", "change"], ["pin", "remove"], ["unblock"]]
)
def test_nobody_is_asked_for_a_pin_that_no_gateway_takes(tmp_path, words):
    done = otppi(tmp_path, "sim", *words, "m0")
    assert (done.returncode, done.stderr) == (3, "otppi: no gateway runs in this state folder\n")


def test_the_numbers_of_a_removed_modem_are_no_longer_told(gateway):
    one = gateway()
    assert otppi(one.state_dir, "send", "081200000001", "x", check=0).returncode == 0
    sent = b'otppi_sms_total{modem="m0",outcome="sent"} 1.0'
    one.wait_until(lambda: sent in one.http("GET", "/metrics").body)
    otppi(one.state_dir, "modem", "remove", "m0", check=0)
    one.wait_until(lambda: b'modem="m0"' not in one.http("GET", "/metrics").body)

"""The SIM and IMEI tools through the gateway: the control socket, the command line, the settings."""

import json
import logging
import threading
from dataclasses import replace

import pytest
from click.testing import CliRunner

from otppi.lib.logfmt import LogfmtFormatter
from otppi.modems.settings import ModemSettings
from otppi.services.cli import main
from otppi.services.control import Refused, call
from otppi.settings.sectionfile import SectionFile
from otppi.sim.personality import load_personality, parse_personality
from tests.gateway_under_test import Sim

MUTE = parse_personality("mute", 'AT+CPINR="SIM PIN"  ERROR')
OLD_IMEI, NEW_IMEI = "490154203237518", "356938035643809"


def ask(one, function, modem="m0", **args):
    return call(one.state_dir, f"sim.{function}", {"modem": modem, **args}, 60)


def cli(one, *words, stdin="", check=0):
    done = CliRunner().invoke(main, ["sim", *words, "--state-dir", str(one.state_dir)], input=stdin)
    assert done.exit_code == check, done.output
    return done


def settings(one, modem="m0"):
    return one.gateway.store.items(ModemSettings)[modem]


def sends(one):
    return one.call("send-sms", receiver="081200000001", message="x").code == "0000"


def restart_all(one):
    """Let service and modem lose their power."""
    pin = settings(one).sim_pin
    one.gateway.stop()
    one.lines["m0"].restart()
    one.modems = tuple(replace(sim, sim_pin=pin) for sim in one.modems)
    one.build()
    one.gateway.start()


def test_a_modem_that_waits_for_its_pin_is_opened_and_stays_so_after_a_power_cut(gateway):
    one = gateway(modems=(Sim(pin="1234"),))
    one.wait_until(lambda: one.state("m0") == "PIN needed")
    assert ask(one, "show")["pin_tries"] == 3
    cli(one, "pin", "enter", "m0", stdin="1234\n")
    one.wait_until(lambda: sends(one))
    assert settings(one).sim_pin == "1234"
    restart_all(one)
    one.wait_until(lambda: sends(one))


def test_a_pin_that_is_entered_is_for_the_sim_that_is_in(gateway):
    one = gateway(modems=(Sim(pin="1234", settings={"iccid": "89620000000000009999"}),))
    one.wait_until(lambda: one.state("m0") == "PIN needed")
    cli(one, "pin", "enter", "m0", stdin="1234\n")
    one.wait_until(lambda: sends(one))
    one.wait_until(lambda: settings(one).iccid == one.lines["m0"].card.printed.iccid)


@pytest.mark.parametrize("personality", ["generic", MUTE], ids=["telling", "mute"])
def test_no_number_of_wrong_pins_by_any_door_and_restart_spends_the_last_try(gateway, personality):
    one = gateway(modems=(Sim(pin="1234", sim_pin="0001", personality=personality),))
    one.wait_until(lambda: one.state("m0") == "PIN needed")  # the settings' PIN has cost a try
    assert one.lines["m0"].card.pin_tries_left == 2
    one.restart()
    one.wait_until(lambda: one.state("m0") == "PIN needed")
    with pytest.raises(Refused, match="refused the PIN"):
        ask(one, "pin.enter", pin="0002")
    assert one.lines["m0"].card.pin_tries_left == 1
    for number in (3, 4):
        restart_all(one)
        one.wait_until(lambda: one.state("m0") == "PIN needed")
        with pytest.raises(Refused, match=r"left to a person.*into a phone"):
            ask(one, "pin.enter", pin=f"000{number}")
        pin = f"100{number}"
        one.gateway.store.put(ModemSettings, "m0", {"sim_pin": pin})
        one.wait_until(lambda: one.gateway.pool.snapshot()[0].reason.endswith("left to a person"))
    assert one.lines["m0"].card.pin_tries_left == 1
    assert one.lines["m0"].card.enter_pin("1234")  # as a person does it


@pytest.mark.parametrize("personality", ["generic", MUTE], ids=["telling", "mute"])
def test_after_two_wrong_pins_the_advice_is_a_phone(gateway, personality):
    one = gateway(modems=(Sim(pin="1234", personality=personality),))
    one.wait_until(lambda: one.state("m0") == "PIN needed")

    def advice():
        return next(check["advice"] for check in one.gateway.diagnose() if check["name"] == "modem m0")

    for number in (1, 2):
        one.wait_until(lambda: "otppi sim pin enter m0" in advice())
        with pytest.raises(Refused, match="refused the PIN"):
            ask(one, "pin.enter", pin=f"000{number}")
    one.wait_until(lambda: "into a phone" in advice())


def test_the_settings_follow_the_pin_and_the_modem_sends_after_every_power_cut(gateway):
    one = gateway()
    line = one.lines["m0"]
    for words, stdin, kept, asks in (
        (("pin", "set", "m0"), "0000\n", "0000", True),
        (("pin", "change", "m0"), "0000\n4815\n", "4815", True),
        (("pin", "change", "m0"), "\n6234\n", "6234", True),
        (("pin", "remove", "m0"), "\n", "", False),
    ):
        cli(one, *words, stdin=stdin)
        assert (settings(one).sim_pin, line.card.asks_for_pin) == (kept, asks)
        restart_all(one)
        one.wait_until(lambda: sends(one))
    assert line.card.pin_tries_left == 3


def test_a_refused_pin_changes_no_settings(gateway):
    one = gateway(modems=(Sim(pin="1234", sim_pin="1234"),))
    done = cli(one, "pin", "change", "m0", stdin="0001\n4815\n", check=1)
    assert "the SIM refused the PIN" in done.output
    assert "2 tries are left" in done.output
    assert settings(one).sim_pin == "1234"
    assert sends(one)


def test_when_the_power_goes_between_sim_and_settings_one_try_is_lost_and_the_reason_told(
    gateway, monkeypatch
):
    one = gateway(modems=(Sim(pin="1234", sim_pin="1234"),))

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SectionFile, "save", fail)
    with pytest.raises(Refused, match=r"it was done, but modems\.m0\.sim_pin could not be kept"):
        ask(one, "pin.change", pin="1234", new_pin="4815")
    monkeypatch.undo()
    for _ in range(2):
        restart_all(one)
        one.wait_until(lambda: one.state("m0") == "PIN needed")
        assert "refused" in one.gateway.pool.snapshot()[0].reason
    assert one.lines["m0"].card.pin_tries_left == 2
    cli(one, "pin", "enter", "m0", stdin="4815\n")
    one.wait_until(lambda: sends(one))


def test_a_blocked_sim_is_opened_by_its_puk(gateway):
    one = gateway(modems=(Sim(pin="1234", sim_pin="", personality="quectel"),))
    one.wait_until(lambda: one.state("m0") == "PIN needed")
    for _ in range(3):
        one.lines["m0"].card.enter_pin("9999")  # in a phone
    restart_all(one)
    one.wait_until(lambda: one.state("m0") == "PUK blocked")
    done = cli(one, "unblock", "m0", stdin="00000001\n5678\n", check=1)
    assert "9 tries are left" in done.output
    cli(one, "unblock", "m0", stdin="12345678\n5678\n")
    assert settings(one).sim_pin == "5678"
    one.wait_until(lambda: sends(one))


def test_no_code_and_no_imei_is_in_any_log_or_file(gateway, caplog):
    caplog.set_level(logging.DEBUG)
    one = gateway(modems=(Sim(pin="48151623", sim_pin="", personality="quectel"),))
    one.wait_until(lambda: one.state("m0") == "PIN needed")
    kept = {}
    for pin in ("90817260", "90818261"):
        kept[pin] = cli(one, "pin", "enter", "m0", stdin=f"{pin}\n", check=1).output.encode()
    kept |= files(one)
    assert any(name.endswith("refused-pins.json") and b"scrypt" in content for name, content in kept.items())
    one.lines["m0"].card.enter_pin("48151623")  # in a phone
    restart_all(one)
    one.wait_until(lambda: one.state("m0") == "PIN needed")
    cli(one, "pin", "enter", "m0", stdin="48151623\n")
    one.wait_until(lambda: sends(one))
    kept["changed"] = cli(one, "pin", "change", "m0", stdin="48151623\n62342999\n").output.encode()
    one.wait_until(lambda: sends(one))
    one.gateway.store.set_path("general.imei_writing", True)
    kept["written"] = cli(one, "imei", "m0", NEW_IMEI, "--yes").output.encode()
    formatter = LogfmtFormatter()
    log = "\n".join(formatter.format(record) for record in caplog.records)
    for line in ('done="PIN changed"', "…3809", "AT+CPWD=", "AT+EGMR="):
        assert line in log
    kept["log"], kept["diagnosis"] = log.encode(), repr(one.gateway.diagnose()).encode()
    for name, content in [*kept.items(), *files(one).items()]:
        for secret in ("90817260", "90818261", "48151623", "62342999"):
            assert secret.encode() not in content, name
        if not name.endswith(("modems.json", "modems.json.previous")):  # the settings know the modem by it
            assert NEW_IMEI.encode() not in content, name


def files(one):
    return {str(file): file.read_bytes() for file in one.state_dir.rglob("*") if file.is_file()}


def test_what_a_modem_tells_of_its_sim(gateway):
    one = gateway(modems=(Sim(personality="quectel"),))
    told = ask(one, "show")
    assert told == {
        "sim": "ready",
        "is_pin_set": False,
        "pin_tries": 3,
        "puk_tries": 10,
        "iccid": "…0001",
        "imsi": "…0001",
        "number": "",
        "sms_center": "+6280000000000",
        "operator": "Simnet",
        "is_operator_chosen": False,
        "registration": "registered",
        "signal_dbm": -71,
        "signal": "Excellent",
        "store_fill": 0.0,
    }
    assert json.loads(cli(one, "show", "m0", "--json").output) == told
    shown = cli(one, "show", "m0").output
    for line in ("PIN\tnot asked for, 3 tries left, 10 of the PUK", "signal\t-71 dBm (Excellent)"):
        assert line in shown


def test_the_sms_center_is_shown_and_set(gateway):
    one = gateway()
    assert cli(one, "sms-center", "m0").output == "+6280000000000\n"
    assert cli(one, "sms-center", "m0", "+6281100000").output == "+6281100000\n"
    assert one.lines["m0"].card.sms_center == '"+6281100000",145'
    for wrong in ('+62"', "abc", "1"):
        assert "no number of an SMS centre" in cli(one, "sms-center", "m0", wrong, check=1).output


def test_another_modem_sends_while_one_listens_for_operators(gateway):
    slow = replace(load_personality("generic"), scan_s=3.0)
    one = gateway(modems=(Sim(name="m0", personality=slow, default=True), Sim(name="m1")))
    listed = []
    listens = threading.Thread(target=lambda: listed.append(cli(one, "operators", "m0").output))
    listens.start()
    one.wait_until(lambda: one.state("m0") == "starting")
    assert sends(one)
    assert len(one.lines["m1"].sent) == 1
    assert not listed
    listens.join()
    assert "may take three minutes" in listed[0]
    assert "00101\tSimnet\tcurrent\n00102\tRoamnet\tavailable\n00103\tBarnet\tforbidden\n" in listed[0]
    one.wait_until(lambda: one.state("m0") == "ready")
    assert sends(one)


def test_an_operator_is_chosen_by_hand_and_one_that_refuses_is_told(gateway):
    one = gateway()
    cli(one, "operator", "m0", "00102")
    shown = cli(one, "show", "m0").output
    assert "operator\tRoamnet (chosen by hand)\nnetwork\tregistered, roaming\n" in shown
    done = cli(one, "operator", "m0", "00103", check=1)
    assert "network not allowed" in done.output
    assert "operator\tSimnet (chosen by the modem)" in cli(one, "show", "m0").output
    cli(one, "operator", "m0", "00102")
    cli(one, "operator", "m0", "auto")
    assert ask(one, "show")["is_operator_chosen"] is False
    assert "five or six digits" in cli(one, "operator", "m0", "Simnet", check=1).output
    one.wait_until(lambda: one.state("m0") == "ready")
    assert sends(one)


def test_no_imei_is_written_while_the_switch_is_off(gateway):
    one = gateway(modems=(Sim(personality="quectel", imei=OLD_IMEI),))
    done = cli(one, "imei", "m0", NEW_IMEI, "--yes", check=1)
    assert "the law of many countries forbids it" in done.output
    assert "otppi settings set general.imei_writing true" in done.output
    assert one.lines["m0"].imei == OLD_IMEI
    assert not any(b"EGMR" in data for _, _, data in one.lines["m0"].log)


@pytest.mark.parametrize("personality", ["quectel", "simcom", "sim7600"])
def test_a_modem_stays_the_same_under_a_new_imei(gateway, personality):
    one = gateway(modems=(Sim(personality=personality, imei=OLD_IMEI),))
    one.wait_until(lambda: settings(one).imei == OLD_IMEI)
    one.gateway.store.set_path("general.imei_writing", True)
    done = cli(one, "imei", "m0", NEW_IMEI, stdin="n\n", check=1)
    assert "forbids to change the IMEI" in done.output
    assert one.lines["m0"].imei == OLD_IMEI
    cli(one, "imei", "m0", NEW_IMEI, stdin="y\n")
    one.wait_until(lambda: one.lines["m0"].imei == NEW_IMEI)
    assert settings(one).imei == NEW_IMEI
    one.wait_until(lambda: sends(one))
    assert "already" in cli(one, "imei", "m0", NEW_IMEI, "--yes", check=1).output


def test_what_is_no_imei_or_that_of_another_modem_is_refused(gateway):
    one = gateway(
        modems=(Sim(name="m0", personality="quectel"), Sim(name="m1", imei=NEW_IMEI)),
    )
    one.wait_until(lambda: settings(one, "m1").imei == NEW_IMEI)
    one.gateway.store.set_path("general.imei_writing", True)
    assert "that is the IMEI of m1" in cli(one, "imei", "m0", NEW_IMEI, "--yes", check=1).output
    for wrong in ("490154203237519", "49015420323751", '4901542032375"8'):
        assert "one is wrong" in cli(one, "imei", "m0", wrong, "--yes", check=1).output
    assert "family generic" in cli(one, "imei", "m1", OLD_IMEI, "--yes", check=1).output
    assert not any(b"EGMR" in data for line in one.lines.values() for _, _, data in line.log)


@pytest.mark.parametrize(
    ("function", "args", "reason"),
    [
        ("pin.enter", {"pin": "123"}, "four to eight digits"),
        ("pin.enter", {"pin": '1234"'}, "four to eight digits"),
        ("pin.change", {"pin": "1234", "new_pin": "123456789"}, "four to eight digits"),
        ("pin.remove", {"pin": ""}, "four to eight digits"),
        ("unblock", {"puk": "1234567", "new_pin": "1234"}, "eight digits"),
        ("unblock", {"puk": "12345678", "new_pin": ""}, "four to eight digits"),
    ],
)
def test_what_is_no_code_never_reaches_the_modem(gateway, function, args, reason):
    one = gateway()
    with pytest.raises(Refused, match=reason):
        ask(one, function, **args)
    assert not any(b"CPIN=" in data or b'"SC"' in data for _, _, data in one.lines["m0"].log)


def test_a_modem_that_is_not_there_or_not_known_is_told(gateway):
    one = gateway(modems=(Sim(name="m0"), Sim(name="off", active=False)))
    one.lines["m0"].unplug()
    one.wait_until(lambda: one.state("m0") == "absent")
    assert "cannot be asked now (absent: the " in cli(one, "show", "m0", check=1).output
    assert "not active" in cli(one, "show", "off", check=1).output
    assert "no such modem" in cli(one, "show", "nobody", check=1).output
    assert "no PIN on standard input" in cli(one, "pin", "enter", "m0", check=1).output


def test_a_pin_is_not_tried_on_another_sim_until_its_owner_says_so(gateway):
    one = gateway(modems=(Sim(pin="1234"),))
    one.gateway.store.put(ModemSettings, "m0", {"iccid": "8962109900000000999", "sim_pin": "1234"})
    one.wait_until(lambda: "is for the SIM …0999" in one.gateway.pool.snapshot()[0].reason)
    assert one.lines["m0"].card.pin_tries_left == 3
    one.gateway.store.put(ModemSettings, "m0", {"iccid": ""})
    one.wait_until(lambda: sends(one))

"""The SIM and IMEI tools at simulated modems, and dialogues that these do not hold."""

import contextlib
from dataclasses import replace

import pytest

from otppi.lib.wakeup import Wakeup
from otppi.model.errors import SimToolError
from otppi.model.modems import Identity, Registration, SimState
from otppi.modems import introduction, parse, sim_tools
from otppi.modems.channel import Channel, NoAnswer
from otppi.modems.families import FAMILIES
from otppi.modems.families.generic import GENERIC
from otppi.modems.introduction import LastTry, SimBlocked
from otppi.modems.parse import FoundOperator
from otppi.modems.refused_pins import Code, RefusedPins
from otppi.modems.transport import PortGone, SerialLine, SerialTransport
from otppi.sim.line import SimModems
from otppi.sim.personality import load_personality, parse_personality, personality_names

# One that does not tell how many tries are left.
MUTE = parse_personality("mute", 'AT+CPINR="SIM PIN"  ERROR')
NEW_IMEI = "356938035643809"


class Bench:
    """A simulated modem that is open, and the tools."""

    def __init__(self, modems, stack, file, personality, options):
        self.line = modems.add(f"m{len(modems.lines)}", personality, keep_log=True, **options)
        self.refused = RefusedPins(file)
        self._wakeup = stack.enter_context(contextlib.closing(Wakeup()))
        self._port = stack.enter_context(contextlib.ExitStack())
        self.open()

    def open(self):
        """Open the port anew and get to know the modem."""
        self._port.close()
        transport = SerialTransport(str(self.line.path), SerialLine(), self._wakeup)
        self._port.enter_context(contextlib.closing(transport))
        self.channel = Channel(transport, lambda _: None)
        introduction.set_up(self.channel)
        self.family, self.own = introduction.meet(self.channel)

    @property
    def spent(self):
        return introduction.spent_tries(self.channel, self.line.name, self.refused, self.family)

    def unlock(self, pin=""):
        introduction.unlock(self.channel, self.line.name, pin, self.refused, self.family)

    def enter(self, pin):
        sim_tools.enter_pin(self.channel, self.family, self.spent, pin)

    def set(self, pin):
        sim_tools.set_pin(self.channel, self.family, self.spent, pin)

    def change(self, pin, new_pin="5678"):
        sim_tools.change_pin(self.channel, self.family, self.spent, pin, new_pin)

    def remove(self, pin):
        sim_tools.remove_pin(self.channel, self.family, self.spent, pin)

    def unblock(self, puk, new_pin="5678"):
        sim_tools.unblock(self.channel, self.family, self.spent, puk, new_pin)

    def block(self):
        """Spend all tries of the PIN, as somebody does in a phone."""
        for _ in range(3):
            self.line.card.enter_pin("9999")

    def restart(self):
        self.line.restart()
        introduction.set_up(self.channel)


@pytest.fixture
def bench(tmp_path):
    with contextlib.ExitStack() as stack:
        modems = stack.enter_context(SimModems(tmp_path / "ports"))

        def plug(personality="generic", **options):
            return Bench(modems, stack, tmp_path / "refused-pins.json", personality, options)

        yield plug


@pytest.mark.parametrize("personality", personality_names())
def test_a_pin_is_set_changed_entered_and_removed_at_every_family(bench, personality):
    one = bench(personality)
    assert sim_tools.pin_is_set(one.channel) is False
    one.set("0000")
    assert sim_tools.pin_is_set(one.channel) is True
    one.change("0000", "1234")
    one.restart()
    assert introduction.sim_state(one.channel) is SimState.PIN_NEEDED
    one.enter("1234")
    one.remove("1234")
    one.restart()
    assert introduction.sim_state(one.channel) is SimState.READY
    assert one.line.card.pin_tries_left == 3
    assert not one.refused
    assert one.line.offences == []


DOORS = {
    "enter": ("1234", lambda one, pin: one.enter(pin)),
    "unlock": ("1234", lambda one, pin: one.unlock(pin)),
    "change": ("1234", lambda one, pin: one.change(pin)),
    "remove": ("1234", lambda one, pin: one.remove(pin)),
    "set": ("", lambda one, pin: one.set(pin)),
}


def opened(one, door):
    if door in ("change", "remove"):
        one.unlock("1234")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("personality", ["quectel", "simcom", "mute"])
def test_the_last_try_is_never_spent_whichever_door_and_however_many_pins(bench, personality, door):
    pin, spend = DOORS[door]
    one = bench(MUTE if personality == "mute" else personality, pin=pin)
    opened(one, door)
    for wrong in ("0001", "0002"):
        with pytest.raises((SimToolError, SimBlocked), match="refused the PIN"):
            spend(one, wrong)
    for any_pin in ("0003", "0004", pin or "0000"):
        with pytest.raises((SimToolError, SimBlocked), match="left to a person"):
            spend(one, any_pin)
    assert one.line.card.pin_tries_left == 1


def test_wrong_pins_by_different_doors_are_counted_together(bench):
    one = bench(MUTE, pin="1234")
    with pytest.raises(SimBlocked, match="refused"):
        one.unlock("0001")
    one.open()  # as another process does
    with pytest.raises(SimToolError, match="refused"):
        one.enter("0002")
    for spend in (one.enter, one.unlock):
        with pytest.raises((SimToolError, SimBlocked), match="left to a person"):
            spend("1234")
    assert one.line.card.pin_tries_left == 1


def test_a_pin_that_was_refused_costs_no_second_try(bench):
    one = bench(pin="1234")
    for _ in range(5):
        with pytest.raises(SimToolError):
            one.enter("0001")
    assert one.line.card.pin_tries_left == 2
    one.enter("1234")


def test_a_success_in_between_gives_two_new_tries(bench):
    one = bench(MUTE, pin="1234")
    one.unlock("1234")
    for wrong in ("0001", "0002"):
        with pytest.raises(SimToolError, match="refused"):
            one.change(wrong)
        one.change("1234", "1234")
    assert one.line.card.pin_tries_left == 3


def test_after_its_pin_was_entered_in_a_phone_and_switched_off_a_sim_is_used_again(bench):
    one = bench(MUTE, pin="1234")
    for wrong in ("0001", "0002"):
        with pytest.raises(SimBlocked):
            one.unlock(wrong)
    with pytest.raises(SimBlocked, match="left to a person"):
        one.unlock("1234")
    one.line.card.ask_for_pin("1234", asks=False)
    one.unlock()
    one.set("1234")
    assert sim_tools.pin_is_set(one.channel)


def test_what_a_person_reads_when_a_try_is_gone_and_when_one_is_left(bench):
    one = bench("quectel", pin="1234")
    with pytest.raises(SimToolError, match=r"incorrect password.*2 tries are left.*last is left to a person"):
        one.enter("0001")
    with pytest.raises(SimToolError, match="1 try is left"):
        one.enter("0002")
    with pytest.raises(
        SimToolError, match=r"only one try.*into a phone.*The PUK, eight digits.*its operator"
    ):
        one.enter("0003")


def test_nothing_goes_on_where_a_try_cannot_be_noted_and_the_modem_does_not_tell(bench, tmp_path, caplog):
    mute, telling = bench(MUTE, pin="1234"), bench("quectel", pin="1234")
    for one in (mute, telling):
        one.refused = RefusedPins(tmp_path / "no folder" / "refused-pins.json")
    with pytest.raises(SimBlocked, match="cannot be noted"):
        mute.unlock("1234")
    assert mute.line.card.pin_tries_left == 3
    with pytest.raises(SimBlocked, match="refused"):
        telling.unlock("0001")
    telling.unlock("1234")
    assert telling.line.card.is_open
    assert "could not be noted" in caplog.text


def test_a_blocked_sim_opens_with_its_puk_and_a_new_pin(bench):
    one = bench("quectel", pin="1234")
    with pytest.raises(SimToolError, match="does not wait for that; now: PIN needed"):
        one.unblock("12345678")
    one.block()
    with pytest.raises(SimToolError, match="now: PUK needed"):
        one.enter("1234")
    with pytest.raises(SimToolError, match=r"refused the PUK.*9 tries are left"):
        one.unblock("00000001")
    one.unblock("12345678", "5678")
    assert introduction.sim_state(one.channel) is SimState.READY
    one.restart()
    one.enter("5678")


@pytest.mark.parametrize(("personality", "left"), [("quectel", 1), (MUTE, 5)])
def test_the_last_puk_is_left_to_a_person(bench, personality, left):
    one = bench(personality, pin="1234")
    one.block()
    for number in range(10 - left):
        with pytest.raises(SimToolError, match="refused the PUK"):
            one.unblock(f"0000000{number}")
    for puk in ("99999999", "12345678"):
        with pytest.raises(SimToolError, match=r"left to a person.*ends the SIM for good"):
            one.unblock(puk)
    assert one.line.card.puk_tries_left == left


def test_what_makes_no_sense_costs_no_try(bench):
    locked, free = bench(pin="1234"), bench()
    with pytest.raises(SimToolError, match="must be open"):
        locked.change("1234")
    with pytest.raises(SimToolError, match="asks for no code"):
        free.enter("0001")
    with pytest.raises(SimToolError, match="does not ask for a PIN"):
        free.remove("0001")
    with pytest.raises(SimToolError, match="set it first"):
        free.change("0001")
    locked.enter("1234")
    with pytest.raises(SimToolError, match="asks for its PIN already"):
        locked.set("0001")
    assert locked.line.card.pin_tries_left == free.line.card.pin_tries_left == 3


def test_the_sms_center_is_on_the_sim(bench):
    one = bench()
    sim_tools.set_sms_center(one.channel, "+6281100000")
    one.restart()
    assert sim_tools.sms_center(one.channel) == "+6281100000"
    sim_tools.set_sms_center(one.channel, "0811")
    assert one.line.card.sms_center == '"0811",129'


def test_operators_are_found_and_one_is_chosen(bench):
    one = bench()
    assert sim_tools.operators(one.channel) == [
        FoundOperator(code="00101", name="Simnet", status="current"),
        FoundOperator(code="00102", name="Roamnet", status="available"),
        FoundOperator(code="00103", name="Barnet", status="forbidden"),
    ]
    sim_tools.choose_operator(one.channel, "00102")
    report = sim_tools.look(one.channel, one.family, one.own)
    assert (report.identity.operator, report.is_operator_chosen) == ("Roamnet", True)
    assert report.registration is Registration.ROAMING
    sim_tools.choose_operator(one.channel, "")
    report = sim_tools.look(one.channel, one.family, one.own)
    assert (report.identity.operator, report.is_operator_chosen) == ("Simnet", False)


@pytest.mark.parametrize(
    ("code", "reason"), [("00103", "network not allowed"), ("99999", "no network service")]
)
def test_an_operator_that_refuses_does_not_leave_the_modem_without_a_network(bench, code, reason):
    one = bench()
    with pytest.raises(SimToolError, match=rf"{reason}.*chooses by itself again"):
        sim_tools.choose_operator(one.channel, code)
    assert introduction.registration(one.channel) is Registration.HOME


def test_the_search_for_operators_has_a_limit_of_its_own(bench):
    one = bench(replace(load_personality("generic"), scan_s=5.5))  # more than any other question may take
    assert len(sim_tools.operators(one.channel)) == 3


def test_all_that_a_modem_tells(bench):
    one = bench("quectel", pin="1234", number="+6281100000091")
    locked = sim_tools.look(one.channel, one.family, one.own)
    assert (locked.state, locked.is_pin_set, locked.tries.pin) == (SimState.PIN_NEEDED, True, 3)
    assert (locked.identity.iccid, locked.identity.imsi, locked.number) == ("8962000000000000001", "", "")
    one.enter("1234")
    report = sim_tools.look(one.channel, one.family, one.own)
    assert (report.state, report.is_pin_set) == (SimState.READY, True)
    assert (report.tries.pin, report.tries.puk) == (3, 10)
    assert (report.number, report.identity.operator) == ("+6281100000091", "Simnet")
    assert report.identity.sms_center == "+6280000000000"
    assert (report.registration, report.signal.csq) == (Registration.HOME, 21)
    assert report.identity.imei == one.own.imei


@pytest.mark.parametrize("personality", ["quectel", "simcom", "sim7600"])
def test_an_imei_counts_after_the_restart(bench, personality):
    one = bench(personality)
    sim_tools.write_imei(one.channel, one.family, NEW_IMEI)
    with pytest.raises(PortGone):
        sim_tools.restart(one.channel, one.family)
    one.open()
    assert one.own.imei == one.line.imei == NEW_IMEI


def test_a_stick_that_does_not_do_its_familys_restart_is_told_in_the_standards_way(bench):
    one = bench("huawei", pin="1234")
    one.unlock("1234")
    with pytest.raises(PortGone):
        sim_tools.restart(one.channel, one.family)
    one.open()
    assert introduction.sim_state(one.channel) is SimState.PIN_NEEDED


def test_no_imei_is_written_where_the_command_is_not_known(bench):
    one = bench("generic")
    with pytest.raises(SimToolError, match="family generic"):
        sim_tools.write_imei(one.channel, one.family, NEW_IMEI)


def test_the_simulator_knows_the_commands_of_the_families():
    written = {family.imei_write for family in FAMILIES if family.imei_write}
    assert {f"AT{load_personality(name).imei_write}" for name in personality_names()} - {"AT"} == written


def test_no_code_and_no_whole_imei_is_ever_shown(bench, caplog):
    caplog.set_level("DEBUG")
    one = bench("quectel", pin="4815")
    for secret in ("9081", "9082", "9083"):
        with pytest.raises(SimToolError) as error:
            one.enter(secret)
        assert secret not in str(error.value)
    one.block()
    one.line.card.enter_puk("12345678", "4815")
    one.change("4815", "6234")
    sim_tools.write_imei(one.channel, one.family, NEW_IMEI)
    shown = "".join(f"{record.getMessage()} {vars(record).get('fields')}" for record in caplog.records)
    assert "AT+CPWD" in shown
    assert "…3809" in shown
    for secret in ("9081", "9082", "9083", "4815", "6234", NEW_IMEI):
        assert secret not in shown


# Dialogues that no simulated modem holds.
def test_a_long_list_goes_on_in_further_lines_and_names_each_operator_once(line):
    far, channel, unsolicited = line
    player = far.play(
        (
            b"AT+COPS=?\r",
            b'\r\n^RSSI:12\r\n\r\n+COPS: (2,"Plus","PLUS","26001",0),\r\n (1,"Plus","PLUS","26001",2),\r\n'
            b' (3,"","Orange","26003",2),(1,"Long, name",,"310410"),,(0-4),(0-2)\r\n\r\nOK\r\n',
        )
    )
    assert sim_tools.operators(channel) == [
        FoundOperator(code="26001", name="Plus", status="current"),
        FoundOperator(code="26003", name="Orange", status="forbidden"),
        FoundOperator(code="310410", name="Long, name", status="available"),
    ]
    player.join()
    assert unsolicited == ["^RSSI:12"]


def test_a_pin_that_the_sim_is_not_ready_for_has_spent_no_try(line, tmp_path):
    far, channel, _ = line
    spent = RefusedPins(tmp_path / "refused").of("m0")
    for _ in range(5):
        player = far.play(
            (b"AT+CPIN?\r", b"\r\n+CPIN: SIM PIN\r\n\r\nOK\r\n"),
            (b"AT+CPINR", b"\r\nERROR\r\n"),
            (b'AT+CPIN="1234"\r', b"\r\n+CME ERROR: 14\r\n"),
        )
        with pytest.raises(SimToolError, match="not ready"):
            sim_tools.enter_pin(channel, GENERIC, spent, "1234")
        player.join()
    assert spent.may_try(Code.PIN)


UNCLEAR = (
    b"+CME ERROR: 0",
    b"+CME ERROR: 1",
    b"+CME ERROR: 3",
    b"+CME ERROR: 4",
    b"+CME ERROR: 13",
    b"+CME ERROR: 100",
    b"ERROR",
)


@pytest.mark.parametrize("said", UNCLEAR)
def test_where_neither_result_nor_count_tells_whether_a_pin_was_wrong_it_is_tried_twice(line, tmp_path, said):
    far, channel, _ = line
    spent = RefusedPins(tmp_path / "refused").of("m0")
    counted = (b"AT+CPINR", b"\r\nERROR\r\n")
    player = far.play(*[counted, (b'AT+CPIN="1234"\r', b"\r\n" + said + b"\r\n")] * 2, counted)
    for _ in range(2):
        with pytest.raises(SimBlocked, match="does not tell whether") as blocked:
            introduction.try_code(channel, spent, Code.PIN, 'AT+CPIN="{}"', "1234")
        assert blocked.value.state is SimState.PIN_NEEDED
    with pytest.raises(LastTry, match="left to a person"):
        introduction.try_code(channel, spent, Code.PIN, 'AT+CPIN="{}"', "1234")
    player.join()


@pytest.mark.parametrize(
    ("said", "count_after", "told", "is_remembered"),
    [
        (b"+CME ERROR: 3", 3, "not ready", False),
        (b"ERROR", 3, "not ready", False),
        (b"+CME ERROR: 3", 2, "refused the PIN", True),
        (b"+CME ERROR: 14", 2, "refused the PIN", True),
        # What is said in words goes before the count.
        (b"+CME ERROR: 16", 3, "refused the PIN", True),
        (b"+CME ERROR: incorrect password", 3, "refused the PIN", True),
    ],
)
def test_a_count_tells_whether_a_try_was_spent(line, tmp_path, said, count_after, told, is_remembered):
    far, channel, _ = line
    refused = RefusedPins(tmp_path / "refused")
    player = far.play(
        (b"AT+CPINR", b"\r\n+CPINR: SIM PIN,3,3\r\n\r\nOK\r\n"),
        (b'AT+CPIN="1234"\r', b"\r\n" + said + b"\r\n"),
        (b"AT+CPINR", f"\r\n+CPINR: SIM PIN,{count_after},3\r\n\r\nOK\r\n".encode()),
    )
    with pytest.raises(SimBlocked, match=told):
        introduction.try_code(channel, refused.of("m0"), Code.PIN, 'AT+CPIN="{}"', "1234")
    player.join()
    assert refused.of("m0").was_refused(Code.PIN, "1234") is is_remembered
    assert bool(refused) is is_remembered


def test_a_pin_without_an_answer_counts_as_a_try(line, tmp_path, monkeypatch):
    monkeypatch.setattr(introduction, "_PIN_LIMIT_S", 0.1)
    far, channel, _ = line
    spent = RefusedPins(tmp_path / "refused").of("m0")
    resynchronised = (b"AT+CMEE?\r", b"\r\n+CMEE: 1\r\n\r\nOK\r\n")
    steps = [
        (b"AT+CPINR", b"\r\nERROR\r\n"),
        (b'AT+CPIN="1234"\r', b""),
    ]
    player = far.play(*steps, resynchronised, *steps)
    for _ in range(2):
        with pytest.raises(NoAnswer):
            introduction.try_code(channel, spent, Code.PIN, 'AT+CPIN="{}"', "1234")
    player.join()
    assert not spent.may_try(Code.PIN)


def test_an_operator_that_is_silent_does_not_leave_the_modem_without_a_network(line, monkeypatch):
    monkeypatch.setattr(sim_tools, "_REGISTER_LIMIT_S", 0.1)
    far, channel, _ = line
    player = far.play(
        (b'AT+COPS=1,2,"00103"\r', b""),
        (b"AT+CMEE?\r", b"\r\nERROR\r\n\r\n+CMEE: 1\r\n\r\nOK\r\n"),
        (b"AT+COPS=0\r", b"\r\nOK\r\n"),
    )
    with pytest.raises(SimToolError, match=r"did not answer.*chooses by itself again"):
        sim_tools.choose_operator(channel, "00103")
    player.join()


def test_a_modem_that_falls_silent_over_an_operator_is_told_to_choose_by_itself_all_the_same(
    line, monkeypatch
):
    monkeypatch.setattr(sim_tools, "_REGISTER_LIMIT_S", 0.1)
    far, channel, _ = line
    player = far.play((b'AT+COPS=1,2,"00103"\r', b""), (b"AT+CMEE?\r", b""), (b"AT+COPS=0\r", b""))
    with pytest.raises(NoAnswer):
        sim_tools.choose_operator(channel, "00103")
    player.join(10)
    assert not player.is_alive()


def test_a_modem_that_says_ok_and_keeps_its_sms_center_is_found_out(line):
    far, channel, _ = line
    player = far.play(
        (b'AT+CSCA="+6281100000",145\r', b"\r\nOK\r\n"),
        (b"AT+CSCA?\r", b'\r\n+CSCA: "+6280000000000",145\r\n\r\nOK\r\n'),
    )
    with pytest.raises(SimToolError, match=r"keeps \+6280000000000"):
        sim_tools.set_sms_center(channel, "+6281100000")
    player.join()


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ('+CNUM: "Own Number","+6281100000091",145', "+6281100000091"),
        ('+CNUM: ,"081100000091",129', "081100000091"),
        ('+CNUM: "Line 1", "081100000091", 129,7,4', "081100000091"),
        ('+CNUM: "","",129', None),
    ],
)
def test_the_own_number_of_a_sim(line, number):
    assert parse.own_number(line) == number


@pytest.mark.parametrize(
    ("imei", "is_whole"),
    [
        (NEW_IMEI, True),
        ("490154203237518", True),
        ("490154203237519", False),
        ("490154203237581", False),
        ("49015420323751", False),
        ("4901542032375180", False),
        ("", False),
    ],
)
def test_the_check_digit_of_an_imei(imei, is_whole):
    assert parse.is_whole_imei(imei) is is_whole


def test_an_identity_that_is_known_is_not_asked_again(bench):
    one = bench()
    known = Identity(imei="1", manufacturer="known")
    assert sim_tools.look(one.channel, one.family, known).identity.manufacturer == "known"

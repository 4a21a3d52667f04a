"""USSD through a simulated modem on a real pseudo-terminal."""

import threading
import time

import pytest

from otppi.contracts.sms import OutgoingSms
from otppi.gateway.inbox import Inbox, InboxSettings
from otppi.gateway.journal import Journal
from otppi.gateway.reports import Reports, ReportSettings
from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.lib.deadline import Deadline
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import Busy, UssdFailed
from otppi.model.number import Number
from otppi.model.requests import Origin
from otppi.model.sms_text import code_text
from otppi.modems.asking import UssdJob
from otppi.modems.pool import ModemPool
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.sending import Limits
from otppi.modems.settings import ModemSettings
from otppi.sim.faults import Faults
from otppi.sim.line import SimModems
from otppi.sim.personality import parse_personality
from otppi.work.queue import WorkQueue

# A modem with every oddity of USSD, each at a code of its own.
ODDITIES = r"""
AT+CGMI  Simulated
AT+CGMM  USSD
set submit_ends_ussd yes
# The modem ends it by itself long before the network answers.
ussd *100# after 0.05  +CUSD: 4
ussd *100# after 0.4  +CUSD: 0,"Late but true",15
ussd *101# after 0.05  +CUSD: 0,""
ussd *101# after 0.4  +CUSD: 0,"Late but true",15
# Endings without a text.
ussd *102#  +CUSD: 2
ussd *103#  +CUSD: 3
ussd *104#  +CUSD: 4
ussd *105#  +CUSD: 5
ussd *106#  +CUSD: 6
# An ending with one.
ussd *107#  +CUSD: 2,"Totsiens",15
# The network says nothing at all; after that, too late.
ussd *108# after 600  +CUSD: 0,"Much too late",15
# Refused by the modem.
ussd *109#  +CME ERROR: 30
# A menu of two levels.
ussd *123#  +CUSD: 1,"1 Balance\n2 Data\n3 PIN",15
ussd *123#>1  +CUSD: 0,"Balance 5000",15
ussd *123#>2  +CUSD: 1,"1 Day\n2 Week",15
ussd *123#>2>2  +CUSD: 0,"A week of data",15
ussd *123#>3  +CUSD: 1,"New PIN?",15
ussd *123#>3>Rahasia1  +CUSD: 0,"PIN changed",15
# Quotes in the text, and lines of it.
ussd *130#  +CUSD: 0,"Ketik "YA"\nke 888",15
# Hex under a coding that says otherwise.
ussd *131#  +CUSD: 0,"0053006F002000540042",15
ussd *132#  +CUSD: 0,"CF2135487D2E4131DCCD25A381E02E",15
"""

SHOP = Origin(door="rest", user="shop")
OTHER = Origin(door="rest", user="other")
OWNER = Origin(door="cli", user="")


class Rig:
    def __init__(self, folder, personality, character_set):
        self.session_s = 60.0
        self.sim = SimModems(folder / "ports")
        self.line = self.sim.add("m0", personality, keep_log=True)
        if character_set:
            # As another program may have left it.
            with open(self.line.path, "wb", buffering=0) as port:
                port.write(f'AT+CSCS="{character_set}"\r'.encode())
                self.wait_until(lambda: self.line.at_commands == 1)
        self.bus = Bus()
        self.pool = ModemPool(
            bus=self.bus,
            limits=lambda: Limits(answer_s=5, silent_after_s=1, ussd_session_s=self.session_s),
            refused_pins=RefusedPins(folder / "pins.json"),
            messages=Inbox(folder / "inbox", InboxSettings, self.bus, SystemClock()),
            reports=Reports(ReportSettings, bytes(32), SystemClock(), Journal(None, SystemClock()), self.bus),
        )
        self.pool.apply({"m0": ModemSettings(name="m0", port=str(self.line.path))})
        self.wait_until(lambda: self.pool.snapshot()[0].is_ready)

    def ask(self, text, origin=SHOP, limit_s=5.0):
        return self.pool.request_ussd("m0", text, origin, Deadline.after(SystemClock(), limit_s))

    def send(self):
        done = threading.Event()
        sms = OutgoingSms(number=Number("6281200000001"), text=code_text("x"), origin=SHOP)
        self.pool.submit(sms, ["m0"], lambda _: done.set())
        assert done.wait(10)

    def written(self):
        """Everything that the modem was told about USSD, but for the end of what an earlier life may have left."""
        told = b"".join(data for _, way, data in self.line.log if way == "in").decode()
        first, *others = [line for line in told.split("\r") if line.startswith("AT+CUSD")] or ["AT+CUSD=2"]
        assert first == "AT+CUSD=2"
        return others

    @staticmethod
    def wait_until(is_true):
        end_s = time.monotonic() + 10
        while not is_true():
            assert time.monotonic() < end_s, "did not come true in time"
            time.sleep(0.005)

    def stop(self):
        self.pool.stop()
        self.bus.stop()
        self.sim.stop()


@pytest.fixture
def rig(tmp_path):
    rigs = []

    def make(personality=None, *, table="", character_set=""):
        if personality is None:
            personality = parse_personality("oddities", ODDITIES + table)
        rigs.append(Rig(tmp_path, personality, character_set))
        return rigs[-1]

    yield make
    for one in rigs:
        one.stop()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("*100#", "Late but true"),  # +CUSD: 4 first
        ("*101#", "Late but true"),  # an empty text first
        ("*107#", "Totsiens"),
        ("*130#", 'Ketik "YA"\nke 888'),
        ("*131#", "So TB"),
        ("*132#", "OCTATOK 187.24 p."),
    ],
)
def test_the_answer_is_read_whatever_comes_before_it(rig, code, text):
    answer = rig().ask(code)
    assert (answer.text, answer.expects_reply) == (text, False)
    assert answer.raw.startswith("+CUSD: ")


@pytest.mark.parametrize("personality", ["generic", "huawei", "quectel", "simcom"])
@pytest.mark.parametrize("character_set", ["GSM", "IRA", "UCS2", "HEX"])
def test_every_family_dials_in_every_character_set(rig, personality, character_set):
    one = rig(personality, character_set=character_set)
    assert one.ask("*999#").text == "You dialled *999#"


def test_a_huawei_is_told_packed_septets(rig):
    one = rig("huawei")
    assert one.ask("*888#").text == "Pulsa 1000"
    assert one.written() == ['AT+CUSD=1,"2A1C0E3702",15']


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("*102#", "ended the session"),
        ("*103#", "somebody else"),
        ("*104#", "does not support"),
        ("*105#", "timed out"),
        ("*106#", "status 6"),
        ("*109#", "CME ERROR: 30"),
        ("*108#", "did not answer in time"),
    ],
)
def test_every_other_ending_is_said_in_words(rig, code, words):
    one = rig()
    with pytest.raises(UssdFailed, match=words):
        one.ask(code, limit_s=0.5)
    assert one.ask("*107#").text == "Totsiens"


def test_a_session_that_the_network_ends_is_told_at_once_and_not_at_the_limit(rig):
    one = rig()
    began_s = time.monotonic()
    with pytest.raises(UssdFailed):
        one.ask("*102#", limit_s=30)
    assert time.monotonic() - began_s < 3


def test_a_menu_is_answered_step_by_step(rig):
    one = rig()
    first = one.ask("*123#")
    assert (first.text, first.expects_reply) == ("1 Balance\n2 Data\n3 PIN", True)
    assert one.ask("2").expects_reply
    last = one.ask("2")
    assert (last.text, last.expects_reply) == ("A week of data", False)
    with pytest.raises(UssdFailed, match="no USSD session is open"):
        one.ask("2")
    assert len(one.written()) == 3


def test_letters_may_be_replied(rig):
    one = rig()
    one.ask("*123#")
    one.ask("3")
    assert one.ask("Rahasia1").text == "PIN changed"


def test_a_new_code_ends_the_open_session_first(rig):
    one = rig()
    one.ask("*123#")
    assert one.ask("*107#").text == "Totsiens"
    assert one.written() == ['AT+CUSD=1,"*123#",15', "AT+CUSD=2", 'AT+CUSD=1,"*107#",15']


def test_the_echo_of_a_cancelled_session_does_not_end_the_next_one(rig):
    one = rig()
    one.ask("*123#")
    answers = []
    caller = threading.Thread(target=lambda: answers.append(one.ask("*100#")))
    caller.start()
    one.wait_until(lambda: len(one.written()) == 3)
    one.line.inject(b"\r\n+CUSD: 2\r\n")
    caller.join()
    assert answers[0].text == "Late but true"


def test_a_session_is_its_opener_s_alone(rig):
    one = rig()
    one.ask("*123#")
    for text in ("1", "*107#", ""):
        with pytest.raises(Busy) as caught:
            one.ask(text, OTHER)
        assert 1 <= caught.value.retry_after_s <= 60
    with pytest.raises(Busy):
        one.ask("1", OWNER)
    one.ask("", OWNER)  # whoever owns the device may end it
    assert one.ask("*107#", OTHER).text == "Totsiens"
    with pytest.raises(UssdFailed):
        one.ask("1")


def test_a_cancelled_session_is_over_and_to_cancel_none_is_fine(rig):
    one = rig()
    one.ask("")
    one.ask("*123#")
    one.ask("")
    assert one.written()[-1] == "AT+CUSD=2"
    with pytest.raises(UssdFailed, match="was cancelled"):
        one.ask("1")


def test_a_session_without_a_reply_is_cancelled(rig):
    one = rig()
    one.session_s = 0.2
    one.ask("*123#")
    one.wait_until(lambda: one.written()[-1] == "AT+CUSD=2")
    with pytest.raises(UssdFailed, match="no reply came in time"):
        one.ask("1")
    assert one.ask("*107#", OTHER).text == "Totsiens"


def test_a_session_that_the_network_ends_by_itself_is_free_for_others(rig):
    one = rig(table="set ussd_session_s 0.2")
    one.ask("*123#")
    one.wait_until(lambda: any(b"+CUSD: 2" in data for _, way, data in one.line.log if way == "out"))
    assert one.ask("*107#", OTHER).text == "Totsiens"
    with pytest.raises(UssdFailed, match="no USSD session is open"):
        one.ask("1")


def test_ok_may_come_after_the_answer(rig):
    assert rig(table="set ussd_ok_last yes").ask("*107#").text == "Totsiens"


def test_a_modem_that_says_ok_only_with_the_answer_is_not_taken_for_a_dead_one(rig):
    one = rig(table='set ussd_ok_last yes\nussd *140# after 1  +CUSD: 0,"late",15')
    with pytest.raises(UssdFailed, match="did not answer"):
        one.ask("*140#", limit_s=0.3)
    assert one.pool.snapshot()[0].is_ready
    assert one.ask("*107#").text == "Totsiens"


def test_messages_go_out_while_a_menu_is_open(rig):
    one = rig("generic")
    one.ask("*123#")
    one.send()
    assert one.ask("1").text.startswith("Sisa pulsa")
    assert len(one.line.sent) == 1


def test_messages_do_not_wait_for_a_network_that_is_silent(rig):
    one = rig()
    failed = []

    def ask():
        try:
            one.ask("*108#", limit_s=3)
        except UssdFailed:
            failed.append(time.monotonic())

    asked = threading.Thread(target=ask)
    asked.start()
    one.wait_until(lambda: one.written())
    one.send()
    sent_at_s = time.monotonic()
    asked.join()
    assert sent_at_s < failed[0] - 1


def test_a_modem_that_ends_the_session_for_a_message_is_said_to(rig):
    one = rig()
    one.ask("*123#")
    one.send()
    with pytest.raises(UssdFailed, match="a message went out in between"):
        one.ask("1")


def test_a_menu_of_an_earlier_life_is_not_answered_with_a_code(rig):
    one = rig()
    one.ask("*123#")
    one.pool.stop()  # the modem has power all the time, and the network waits
    one.pool.apply({"m0": ModemSettings(name="m0", port=str(one.line.path))})
    one.wait_until(lambda: one.pool.snapshot()[0].is_ready)
    assert one.ask("*107#").text == "Totsiens"


def test_requests_of_several_wait_for_each_other(rig):
    one = rig()
    answers = []
    callers = [
        threading.Thread(target=lambda origin=origin: answers.append(one.ask("*100#", origin).text))
        for origin in (SHOP, OTHER, OWNER)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == ["Late but true"] * 3


def test_who_waits_behind_a_request_that_opens_a_menu_is_told_busy(rig):
    one = rig()
    outcomes = {}

    def ask(name, code, origin):
        try:
            outcomes[name] = one.ask(code, origin)
        except (Busy, UssdFailed) as error:
            outcomes[name] = error

    first = threading.Thread(target=ask, args=("first", "*123#", SHOP))
    first.start()
    one.wait_until(lambda: one.written())
    ask("second", "*107#", OTHER)
    first.join()
    assert outcomes["first"].expects_reply
    assert isinstance(outcomes["second"], Busy)


def test_unplugging_ends_what_is_under_way_and_what_is_open(rig):
    one = rig()
    one.ask("*123#")
    one.line.unplug()
    one.wait_until(lambda: not one.pool.snapshot()[0].is_ready)
    one.line.plug()
    one.wait_until(lambda: one.pool.snapshot()[0].is_ready)
    with pytest.raises(UssdFailed, match="started anew"):
        one.ask("1")
    failed = []

    def ask():
        try:
            one.ask("*108#", limit_s=30)
        except UssdFailed as error:
            failed.append(str(error))

    asked = threading.Thread(target=ask)
    asked.start()
    one.wait_until(lambda: one.written()[-1] == 'AT+CUSD=1,"*108#",15')
    one.line.unplug()
    asked.join(5)
    assert failed == ["the modem stopped in the middle of it"]


@pytest.mark.parametrize("was_open", [False, True])
def test_a_modem_that_hangs_is_no_hang_for_the_caller(rig, was_open):
    one = rig()
    if was_open:
        one.ask("*123#")
    one.line.set_faults(Faults(hung=True))
    with pytest.raises(UssdFailed, match="stopped in the middle"):
        one.ask("*107#", limit_s=20)
    one.wait_until(lambda: not one.pool.snapshot()[0].is_ready)


def test_what_is_replied_stands_in_no_log(rig, caplog):
    one = rig()
    with caplog.at_level("DEBUG"):
        one.ask("*123#")
        one.ask("3")
        one.ask("Rahasia1")
    assert "Rahasia1" not in caplog.text
    assert "Rahasia1" not in str([record.__dict__ for record in caplog.records])


def test_a_ussd_request_that_nobody_begins_is_taken_back_at_its_deadline(clock):
    queue, bell = WorkQueue(), Wakeup()
    queue.join("a", bell)
    one = UssdJob("a", "*888#", SHOP, Deadline.after(clock, 0), lambda: "ready")
    queue.put(one)
    with pytest.raises(UssdFailed, match="busy"):
        one.wait(queue)
    assert queue.next_for("a") is None
    bell.close()


def test_a_ussd_request_to_a_modem_that_is_not_ready_says_how_the_modem_is(clock):
    queue = WorkQueue()
    one = UssdJob("a", "*888#", SHOP, Deadline.after(clock, 0), lambda: "absent: the port does not exist")
    queue.put(one)
    with pytest.raises(UssdFailed, match=r"not ready \(absent: the port does not exist\)"):
        one.wait(queue)

"""The doctor at simulated modems of every family, healthy and not, over their ports."""

import contextlib
import os
import re
import threading
from functools import partial

import pytest

from otppi.lib.wakeup import Wakeup
from otppi.model.number import Number
from otppi.model.ports import SerialPort, Stick, UsbId
from otppi.modems.channel import Channel
from otppi.modems.doctor import Level, ObservedChannel, Verdict, examine, look_at_ports
from otppi.modems.personality_draft import personality
from otppi.modems.recording import RecordedTransport, Recording
from otppi.modems.redaction import redacted
from otppi.modems.transport import SerialLine, SerialTransport
from otppi.sim.faults import Faults
from otppi.sim.line import SimModems
from otppi.sim.personality import parse_personality
from tests.modems.far_end import FarEnd
from tests.modems.test_introduction import FAMILIES

OWN = Number("6281200000001")

# Modems that differ from all that is known, as far as the simulator can.
ODD = {
    "huawei that refuses much": (
        "set unknown COMMAND NOT SUPPORT\nAT+CGMI  huawei\nAT+CGMM  E9999\nAT+CGMR  1.2.3\n"
        "AT^CURC=0  COMMAND NOT SUPPORT\nAT+CNMI=2,1,0,1,0  COMMAND NOT SUPPORT\n"
        "AT+CNMI=2,1,0,2,0  COMMAND NOT SUPPORT\nAT+CNMI=2,1,0,0,0  COMMAND NOT SUPPORT\n"
        "AT+CMMS=2  COMMAND NOT SUPPORT\nAT+CMGD=?  +CMGD: (1-20),(0-4)\n"
    ),
    "quectel with words in other forms": (
        "AT+CGMI  Quectel\nAT+CGMM  EC25\nAT+CGSN  +CGSN: 0049990100000012\n"
        'AT+QCCID  +QCCID: {iccid}F\nAT+QPINC?  +QPINC: "SC",{pin_tries},{puk_tries}\n'
        "AT+CMGL=4  +CMS ERROR: 302\nAT+CSCS=?  ERROR\nAT+CSCS?  ERROR\n"
    ),
    "unknown with the digits of the ICCID swapped": (
        "set unknown +CME ERROR: 58\nAT+CGMI  ACME\nAT+CGMM  Two\nAT+CCID  ERROR\nAT+ICCID  ERROR\n"
        'AT+CSCA?  +CSCA: "002B00360032003800310031",145\n'
    ),
}
DIFFERENCES = {
    "huawei that refuses much": [
        "AT^CURC=0",
        "AT^PORTSEL=0",
        "tries of the PIN",
        "ICCID",
        "indications",
        "first place",
    ],
    "quectel with words in other forms": ["reading"],
    "unknown with the digits of the ICCID swapped": [],
}


@pytest.fixture
def sim(tmp_path):
    with SimModems(tmp_path / "ports") as modems:
        yield modems


def visited(path, **options):
    """Examine the modem at a port; returns the case and the transcript as it may be shown."""
    wakeup, recording = Wakeup(), Recording()
    try:
        with contextlib.closing(RecordedTransport(str(path), SerialLine(), wakeup, recording)) as transport:
            case = examine(ObservedChannel(transport, recording), **options)
    finally:
        wakeup.close()
    return case, "\n".join(recording.lines(partial(redacted, known=case.secrets)))


def level(case, subject):
    return next(one.level for one in case.findings if one.subject == subject)


def words(case, subject):
    return next(one.words for one in case.findings if one.subject == subject)


def differing(case):
    return [one.subject for one in case.findings if one.level in (Level.DIFFERS, Level.NO_ANSWER)]


def judged(case):
    """All that is the modem's own and does not change from one time to the next."""
    return case.verdict, case.words, [one for one in case.findings if one.subject != "times"]


def assert_untouched(line, *, messages=0):
    assert line.offences == []
    assert line.sent == []
    assert line.card.pin_tries_left == 3
    assert len(line.card.messages) == messages


@pytest.mark.parametrize(("make", "family"), FAMILIES.items())
def test_a_modem_that_does_as_its_family_works(sim, make, family):
    line = sim.add("m0", make)
    case, transcript = visited(line.path)
    assert (case.verdict, case.words) == (Verdict.WORKS, f"it works with OTP-Pi as {family}")
    assert case.is_well
    assert differing(case) == []
    assert not re.search("[0-9]{7}", transcript)
    assert_untouched(line)


@pytest.mark.parametrize("make", [*FAMILIES, *ODD])
def test_the_personality_that_is_written_makes_a_modem_that_is_judged_the_same(sim, make):
    original = parse_personality("odd", ODD[make]) if make in ODD else make
    first, _ = visited(sim.add("original", original).path)
    table = personality(first, "heading")
    assert not re.search("[0-9]{7}", table)
    # What the simulated modem keeps itself must not be fixed by the table.
    assert not re.search(r"^AT\+(CMMS|CNMI|CPMS|CMGF|CREG|CSQ|CPIN|CSCA|COPS)\?", table, re.MULTILINE)
    second, _ = visited(sim.add("copy", parse_personality("copy", table)).path)
    assert judged(second) == judged(first)
    # A copy of the copy is the same to the letter: nothing is added or lost on the way.
    assert personality(second, "heading") == table


@pytest.mark.parametrize("make", ODD)
def test_what_differs_is_named_and_the_rest_works(sim, make):
    line = sim.add("m0", parse_personality("odd", ODD[make]))
    case, _ = visited(line.path)
    assert differing(case) == DIFFERENCES[make]
    assert case.verdict is (Verdict.TELL_US if DIFFERENCES[make] else Verdict.WORKS)
    assert all(subject in case.words for subject in DIFFERENCES[make])
    assert_untouched(line)


def test_settings_are_put_back_as_they_stood(sim):
    line = sim.add("m0", "generic")
    stood = {
        "AT+CNMI?": "+CNMI: 1,1,0,2,0",
        "AT+CMMS?": "+CMMS: 1",
        "AT+CMGF?": "+CMGF: 1",
        "AT+CMEE?": "+CMEE: 2",
        "AT+CSMS?": "+CSMS: 1,1,1,1",
        "AT+CPMS?": '+CPMS: "ME",0,20,"SM",0,20,"SM",0,20',
        "AT+COPS?": '+COPS: 0,2,"00101"',
    }
    with contextlib.closing(Wakeup()) as wakeup:
        with contextlib.closing(SerialTransport(str(line.path), SerialLine(), wakeup)) as transport:
            channel = Channel(transport, lambda _: None)
            for command in (
                "+CNMI=1,1,0,2,0",
                "+CMMS=1",
                "+CMGF=1",
                "+CMEE=2",
                "+CSMS=1",
                '+CPMS="ME","SM","SM"',
            ):
                channel.command(f"AT{command}", expect="+CSMS:" if "CSMS" in command else "+CPMS:")
            channel.command("AT+COPS=3,2")
        case, transcript = visited(line.path)
        assert words(case, "afterwards") == "settings were put back"
        assert transcript.endswith("< OK")
        with contextlib.closing(SerialTransport(str(line.path), SerialLine(), wakeup)) as transport:
            channel = Channel(transport, lambda _: None)
            found = {command: channel.command(command, expect="+C")[0] for command in stood}
            stood["AT+CPMS?"] = found["AT+CPMS?"]  # the first store alone is put back
            assert found == stood
            assert found["AT+CPMS?"].startswith('+CPMS: "ME"')


def test_no_pin_is_entered_and_no_try_is_spent(sim):
    line = sim.add("m0", "quectel", pin="1234")
    case, transcript = visited(line.path)
    assert level(case, "SIM") is Level.PROBLEM
    assert "3 tries of the PIN are left; nothing was entered" in words(case, "SIM")
    assert (case.verdict, case.is_well) == (Verdict.WORKS, False)
    assert case.words == (
        "it works with OTP-Pi as Quectel EC25, as far as can be told without its SIM, once this is settled: SIM"
    )
    assert "AT+CPIN=" not in transcript
    assert not line.card.is_open
    assert_untouched(line)


def test_a_blocked_sim_is_told_with_what_opens_it(sim):
    line = sim.add("m0", "generic", pin="1234")
    for _ in range(3):
        line.card.enter_pin("0000")
    case, _ = visited(line.path)
    assert "PUK" in words(case, "SIM")
    assert (line.card.pin_tries_left, line.card.puk_tries_left) == (0, 10)


def test_without_a_network_it_is_the_network_that_is_missing(sim):
    case, _ = visited(sim.add("m0", "zte", faults=Faults(no_network=True)).path, receiver=OWN)
    assert words(case, "network") == (
        "calls and SMS searching for a network; LTE searching for a network; data searching for a network"
    )
    assert differing(case) == []
    assert level(case, "test message") is Level.UNASKED
    assert (case.verdict, case.is_well) == (Verdict.WORKS, False)


def test_messages_on_the_sim_are_neither_read_nor_marked_as_read(sim):
    line = sim.add("m0", "generic")
    line.deliver("+6281200000002", "okapimarker")
    case, transcript = visited(line.path)
    assert level(case, "reading") is Level.UNASKED
    assert line.card.messages.with_status(0) == [1]
    assert "AT+CMGL=4" not in transcript
    assert "AT+CMGR" not in transcript
    assert case.verdict is Verdict.WORKS
    assert_untouched(line, messages=1)


def test_a_modem_that_hangs_cannot_be_told_from_none(sim):
    case, _ = visited(sim.add("m0", "generic", faults=Faults(hung=True)).path)
    assert case.verdict is Verdict.NO_MODEM
    assert "no modem, or one that hangs" in case.words
    assert case.findings[0].level is Level.NO_ANSWER


def test_what_talks_and_takes_no_commands_is_none():
    far = FarEnd()
    player = far.play((b"AT", b"$GPGGA,120000,,,,,0\r\nMarlin ready\r\n" * 20 + b"\xff\x00" * 50))
    case, _ = visited(far.path)
    player.join()
    far.close()
    assert case.verdict is Verdict.NO_MODEM


def test_what_takes_commands_and_no_messages_is_no_modem_for_us(sim):
    table = "AT+CGMI  ACME\nAT+CGMM  Router\nAT+CMGF=0  ERROR\nAT+CMGF=?  ERROR\n"
    case, _ = visited(sim.add("m0", parse_personality("odd", table)).path)
    assert case.verdict is Verdict.NO_MODEM
    assert "no messages in PDU mode" in case.words


def test_what_says_ok_to_at_and_knows_no_sim_is_no_modem(sim):
    table = "AT+CGMI  ERROR\nAT+CGMM  ERROR\nAT+CGMR  ERROR\nAT+CGSN  ERROR\nAT+CPIN?  ERROR\n"
    case, _ = visited(sim.add("m0", parse_personality("odd", table)).path)
    assert case.verdict is Verdict.NO_MODEM


def test_a_message_to_the_own_number_is_measured_and_seen_to_arrive(tmp_path):
    lines = []
    with SimModems(
        tmp_path / "ports", on_message=lambda sent: lines[0].deliver("+6281200000001", sent.text)
    ) as sim:
        table = (
            "AT+CGMI  huawei\nAT+CGMM  E173\nset submit_chatter ^RSSI:{csq}\n"
            'AT+CNUM  +CNUM: "Budi","081200000001",129\n'
        )
        lines.append(sim.add("m0", parse_personality("odd", table), submit_s=0.3))
        case, transcript = visited(lines[0].path, receiver=OWN)
        (sent,) = lines[0].sent
    assert sent.number == OWN.digits
    assert "took it within" in words(case, "test message")
    assert words(case, "delivery report").startswith("delivered, ")
    assert words(case, "arrival").endswith("stays on the SIM")
    table = personality(case, "heading")
    assert "set submit_s 0.3\n" in table
    assert "set submit_chatter ^RSSI:{csq}\n" in table
    for shown in (transcript, table):
        assert "81200000001" not in shown
        assert "Budi" not in shown
        assert "2618" not in shown


def test_a_message_that_the_network_refuses_is_a_problem_and_no_difference(sim):
    line = sim.add("m0", "simcom", faults=Faults(failing_sends=1, fail_with="+CMS ERROR: 38"))
    case, _ = visited(line.path, receiver=OWN)
    assert level(case, "test message") is Level.PROBLEM
    assert words(case, "test message") == "refused: +CMS ERROR: 38 (network out of order)"
    assert (case.verdict, case.is_well) == (Verdict.WORKS, False)


def test_a_modem_that_falls_silent_in_the_middle_is_not_asked_on(sim):
    line = sim.add("m0", "generic", faults=Faults(byte_gap_s=0.001))

    def hang_after_some_answers():
        while line.at_commands < 12:
            os.sched_yield()
        line.set_faults(Faults(hung=True))

    hanging = threading.Thread(target=hang_after_some_answers)
    hanging.start()
    case, transcript = visited(line.path)
    hanging.join()
    assert "it answered nothing more after AT" in words(case, "silence")
    assert (case.verdict, case.is_well) == (Verdict.TELL_US, False)
    assert "stopped in the middle" in case.words
    assert transcript.count("AT+C") < 30
    assert "but for these, which a power cycle does: " in words(case, "afterwards")


def test_a_modem_that_is_pulled_out_in_the_middle_is_told_so(tmp_path):
    lines = []
    with SimModems(tmp_path / "ports", on_message=lambda _: lines[0].unplug()) as sim:
        lines.append(sim.add("m0", "generic", submit_s=0.2))
        case, _ = visited(lines[0].path, receiver=OWN)
    assert "went away in the middle" in " ".join(one.words for one in case.findings)
    assert case.verdict is Verdict.TELL_US


def quectel_stick(**lines):
    return Stick(
        place="1-1",
        usb=UsbId(vendor=0x2C7C, product=0x0125),
        description="EC25",
        ports=tuple(
            SerialPort(node=str(line.path), interface=int(name[1:]), driver="option")
            for name, line in lines.items()
        ),
    )


def test_the_other_ports_of_the_stick_are_asked_if_they_may_be(sim):
    silent = sim.add("i3", "quectel", faults=Faults(hung=True))
    diagnostics, best, other = sim.add("i0"), sim.add("i2", "quectel"), sim.add("i5")
    stick = quectel_stick(i0=diagnostics, i2=best, i3=silent, i5=other)
    found = list(look_at_ports(stick, stick.ports[1], SerialLine()))
    by_subject = {one.subject: one for one in found}
    assert "takes commands at interface 2" in by_subject["port"].words
    assert by_subject[f"port {silent.path}"].level is Level.DIFFERS
    assert by_subject[f"port {diagnostics.path}"].level is Level.UNASKED
    assert "diagnostics" in by_subject[f"port {diagnostics.path}"].words
    assert (diagnostics.at_commands, best.at_commands, other.at_commands) == (0, 0, 0)
    case, _ = visited(best.path, usb=stick.usb, ports=found)
    assert case.verdict is Verdict.TELL_US
    assert "by its USB id 2c7c:0125" in words(case, "family")


def test_usb_id_and_words_of_different_families_are_told(sim):
    case, _ = visited(sim.add("m0", "simcom").path, usb=UsbId(vendor=0x2C7C, product=0x0125))
    assert level(case, "family") is Level.DIFFERS
    assert "SIMCom SIM800 by its words" in words(case, "family")

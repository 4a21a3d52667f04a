"""Modems at real pseudo-terminals, spoken to by pyserial."""

import os
import time
from contextlib import contextmanager

import pytest
import serial

from otppi.sim.faults import Faults, Moment
from otppi.sim.line import SimModems

# SMS-SUBMIT to 6281200000001, UCS-2, "123456".
PDU = b"0001000D91261802000000F100080C003100320033003400350036"
LENGTH = len(PDU) // 2 - 1
RESULT = b"\r\n+CMGS: 0\r\n\r\nOK\r\n"


@pytest.fixture
def sim(tmp_path):
    with SimModems(tmp_path / "modems") as sim:
        yield sim


@contextmanager
def opened(line, timeout_s=5.0):
    with serial.Serial(str(line.path), 115200, timeout=timeout_s, exclusive=True) as port:
        port.write(b"ATE0\r")
        port.read_until(b"OK\r\n")
        yield port


def send(port, last=b"OK\r\n"):
    port.write(b"AT+CMGS=%d\r" % LENGTH)
    port.read_until(b"> ")
    port.write(PDU + b"\x1a")
    return port.read_until(last)


def test_a_message_goes_through(sim):
    line = sim.add("m0")
    before_s = time.monotonic()
    with opened(line) as port:
        assert send(port) == RESULT
    (sms,) = line.wait_for_sent(1, 1.0)
    assert (sms.modem, sms.number, sms.text, sms.reference) == ("m0", "6281200000001", "123456", 0)
    assert before_s < line.ctrl_z_times[0] <= sms.at_s <= time.monotonic()
    assert [message.text for message in line.messages] == ["123456"]


def test_the_counters_count(sim):
    line = sim.add("m0", keep_log=True)
    with opened(line) as port:
        send(port)
    sim.stop()  # what is written is counted when it is out, which the host may see first
    sent = b"ATE0\r" + b"AT+CMGS=%d\r" % LENGTH + PDU + b"\x1a"
    assert line.bytes_in == len(sent)
    assert line.bytes_out == len(b"ATE0\r\r\nOK\r\n" + b"\r\n> " + RESULT)
    assert line.at_commands == 2
    assert b"".join(data for _, direction, data in line.log if direction == "in") == sent
    assert [at_s for at_s, _, _ in line.log] == sorted(at_s for at_s, _, _ in line.log)


def test_neither_texts_nor_numbers_show_in_a_repr(sim):
    line = sim.add("m0")
    with opened(line) as port:
        send(port)
    shown = repr(line.sent) + repr(line.messages)
    assert "123456" not in shown
    assert "6281200000001" not in shown


def test_waiting_for_what_does_not_come_ends(sim):
    line = sim.add("m0")
    with pytest.raises(TimeoutError, match="0 of 1"):
        line.wait_for_sent(1, 0.01)


def test_the_sum_of_all_modems_can_be_waited_for(sim):
    for name in ("m0", "m1"):
        with opened(sim.add(name)) as port:
            send(port)
    assert [sms.modem for sms in sim.wait_for_sent(2, 1.0)] == ["m0", "m1"]


def test_a_submit_takes_its_time_and_others_do_not_wait_for_it(sim):
    slow, quick = sim.add("slow", submit_s=0.3), sim.add("quick")
    with opened(slow) as slow_port, opened(quick) as quick_port:
        slow_port.write(b"AT+CMGS=%d\r" % LENGTH)
        slow_port.read_until(b"> ")
        slow_port.write(PDU + b"\x1a")
        assert send(quick_port) == RESULT
        assert not slow.sent
        assert slow_port.read_until(b"OK\r\n") == RESULT
    assert slow.sent[0].at_s - slow.ctrl_z_times[0] >= 0.3


def test_answers_arrive_in_order_on_a_slow_line(sim):
    line = sim.add("m0", submit_s=0.02, faults=Faults(byte_gap_s=0.001))
    with opened(line) as port:
        port.write(b"AT+CSQ\rAT+CGMM\r")
        assert port.read_until(b"Generic GSM\r\n\r\nOK\r\n") == (
            b"\r\n+CSQ: 21,0\r\n\r\nOK\r\n\r\nGeneric GSM\r\n\r\nOK\r\n"
        )
        assert send(port) == RESULT
    assert len(line.sent) == 1


def test_a_late_result_and_a_later_answer_come_in_order(sim):
    line = sim.add("m0", faults=Faults(late_sends=1, late_s=0.2))
    with opened(line, timeout_s=0.05) as port:
        assert send(port) == b""
        port.write(b"\x1b\rAT+CMEE?\r")
        port.timeout = 5.0
        assert port.read_until(b"+CMEE: 0\r\n\r\nOK\r\n") == RESULT + b"\r\n+CMEE: 0\r\n\r\nOK\r\n"


def test_what_is_overdue_is_said_before_what_is_new(tmp_path):
    def hold_up(message):
        if message.modem == "other":
            time.sleep(0.1)  # the thread is busy while the result at the first modem falls due
            line.inject(b"\r\nRING\r\n")

    with SimModems(tmp_path, on_message=hold_up) as sim:
        line, other = sim.add("m0", submit_s=0.05), sim.add("other")
        with opened(line) as port, opened(other) as other_port:
            port.write(b"AT+CMGS=%d\r" % LENGTH)
            port.read_until(b"> ")
            port.write(PDU + b"\x1a")
            while not line.ctrl_z_times:
                os.sched_yield()
            send(other_port)
            assert port.read_until(b"RING\r\n") == RESULT + b"\r\nRING\r\n"


def test_a_modem_that_hangs_forgets_what_it_owed(sim):
    line = sim.add("m0", submit_s=0.2)
    with opened(line, timeout_s=0.4) as port:
        port.write(b"AT+CMGS=%d\r" % LENGTH)
        port.read_until(b"> ")
        port.write(PDU + b"\x1a")
        while not line.ctrl_z_times:
            os.sched_yield()
        line.set_faults(Faults(hung=True))
        assert port.read(1) == b""
        line.set_faults(Faults())
        port.write(b"AT\r")
        assert port.read_until(b"OK\r\n") == b"\r\nOK\r\n"
    assert not line.sent


def test_faults_may_change_while_the_port_is_open(sim):
    line = sim.add("m0")
    with opened(line) as port:
        line.set_faults(Faults(failing_sends=1))
        assert send(port, b"38\r\n") == b"\r\n+CMS ERROR: 38\r\n"
        line.set_faults(Faults(interruption='+CMTI: "SM",3', interruption_at=Moment.INSIDE_ANSWER))
        assert b'+CMGS: 0\r\n\r\n+CMTI: "SM",3\r\n\r\nOK' in send(port)


def test_a_line_can_be_injected(sim):
    line = sim.add("m0")
    with opened(line) as port:
        line.inject(b"\r\nRING\r\n")
        assert port.read_until(b"RING\r\n") == b"\r\nRING\r\n"


def test_unplugging_fails_the_reader_and_plugging_brings_the_port_back(sim):
    line = sim.add("m0", pin="1234")
    with opened(line) as port:
        line.unplug()
        assert not line.path.exists()
        assert not line.is_plugged
        with pytest.raises(serial.SerialException):
            port.read(1)
    with pytest.raises(serial.SerialException):
        serial.Serial(str(line.path))
    line.inject(b"nobody hears this")
    line.plug()
    line.plug()
    with opened(line) as port:
        port.write(b"AT+CPIN?\r")
        assert b"SIM PIN" in port.read_until(b"OK\r\n")


def test_plugging_and_unplugging_leaves_nothing_open(sim):
    line = sim.add("m0")
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        line.unplug()
        line.plug()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_unplugging_during_a_submit_keeps_the_message_from_the_network(sim):
    line = sim.add("m0", submit_s=0.1)
    with opened(line) as port:
        port.write(b"AT+CMGS=%d\r" % LENGTH)
        port.read_until(b"> ")
        port.write(PDU + b"\x1a")
        while not line.ctrl_z_times:
            os.sched_yield()
        line.unplug()
    with pytest.raises(TimeoutError):
        line.wait_for_sent(1, 0.2)


def test_a_host_that_comes_and_goes_finds_the_same_modem(sim):
    line = sim.add("m0")
    for reference in range(3):
        with opened(line) as port:
            assert b"+CMGS: %d\r\n" % reference in send(port)


def test_a_host_that_never_reads_stops_nobody(sim):
    deaf, other = sim.add("deaf"), sim.add("other")
    with opened(deaf):
        for _ in range(100):
            deaf.inject(b"x" * 1000)
        with opened(other) as port:
            assert send(port) == RESULT


def test_seven_idle_modems_wake_nobody(sim):
    lines = [sim.add(f"m{index}") for index in range(7)]
    for line in lines:
        with opened(line):
            pass
    turns = sim.turns
    spent_s = time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)
    with pytest.raises(TimeoutError):
        lines[0].wait_for_sent(1, 0.5)
    # The first reading may come before the loop went back to sleep.
    assert sim.turns - turns <= 1
    assert time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) - spent_s < 0.05


def test_a_receiver_of_messages_that_fails_stops_nobody(tmp_path):
    def fail(_):
        raise OSError("disk full")

    with SimModems(tmp_path, on_message=fail) as sim, opened(sim.add("m0")) as port:
        assert send(port) == RESULT


def test_stopping_takes_the_ports_away_and_may_be_repeated(tmp_path):
    sim = SimModems(tmp_path)
    line = sim.add("m0")
    sim.stop()
    sim.stop()
    assert not os.path.lexists(line.path)
    with pytest.raises(RuntimeError):
        line.plug()

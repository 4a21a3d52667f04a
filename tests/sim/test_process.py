"""The simulator as a process of its own."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager

import serial

# SMS-SUBMIT to 6281200000001, UCS-2, "123456".
PDU = b"0001000D91261802000000F100080C003100320033003400350036"


class Process:
    def __init__(self, popen):
        self.popen = popen

    def read(self):
        return json.loads(self.popen.stdout.readline())

    def ask(self, **request):
        self.popen.stdin.write(json.dumps(request) + "\n")
        self.popen.stdin.flush()
        return self.read()


@contextmanager
def process(directory, *options):
    command = [sys.executable, "-m", "otppi.sim", "--directory", str(directory), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        try:
            yield Process(popen)
        finally:
            popen.kill()


def send(path, last):
    with serial.Serial(path, 115200, timeout=5.0) as port:
        port.write(b"ATE0\r")
        port.read_until(b"OK\r\n")
        port.write(b"AT+CMGS=%d\r" % (len(PDU) // 2 - 1))
        port.read_until(b"> ")
        port.write(PDU + b"\x1a")
        return port.read_until(last)


def test_it_tells_its_ports_and_what_was_sent(tmp_path):
    with process(tmp_path, "--modems", "2", "--personality", "generic", "huawei", "--submit-s", "0") as sim:
        ready = sim.read()
        assert [modem["name"] for modem in ready["modems"]] == ["m0", "m1"]
        before_s = time.monotonic()
        for modem in ready["modems"]:
            assert b"+CMGS: 0" in send(modem["path"], b"OK\r\n")
        sent = sim.ask(do="sent", since=0)["sent"]
        assert [(sms["modem"], sms["number"], sms["text"]) for sms in sent] == [
            ("m0", "6281200000001", "123456"),
            ("m1", "6281200000001", "123456"),
        ]
        assert before_s < sent[0]["at_s"] < sent[1]["at_s"] < time.monotonic()
        assert len(sim.ask(do="sent", since=1)["sent"]) == 1
        stats = sim.ask(do="stats")["modems"]["m0"]
        assert (stats["sent"], stats["at_commands"], len(stats["ctrl_z_s"])) == (1, 2, 1)
        assert sim.ask(do="stop") == {"stopped": True}
        assert sim.popen.wait(5) == 0


def test_it_can_be_made_to_misbehave(tmp_path):
    with process(tmp_path) as sim:
        path = sim.read()["modems"][0]["path"]
        assert sim.ask(do="fault", modem="m0", fault={"failing_sends": 1}) == {"done": True}
        assert b"+CMS ERROR: 38" in send(path, b"38\r\n")
        assert sim.ask(do="unplug", modem="m0") == {"done": True}
        assert not sim.ask(do="stats")["modems"]["m0"]["is_plugged"]
        assert sim.ask(do="plug", modem="m0") == {"done": True}
        assert b"+CMGS: 0" in send(path, b"OK\r\n")


def test_it_survives_requests_that_make_no_sense(tmp_path):
    with process(tmp_path) as sim:
        sim.read()
        for request in (
            {"do": "dance"},
            {"do": "fault", "modem": "m7", "fault": {}},
            {"do": "fault", "modem": "m0", "fault": {"hang": True}},
            {"modem": "m0"},
        ):
            assert "error" in sim.ask(**request)
        assert "modems" in sim.ask(do="stats")


def test_it_ends_with_its_input(tmp_path):
    with process(tmp_path) as sim:
        sim.read()
        sim.popen.stdin.close()
        assert sim.popen.wait(5) == 0
        assert not list(tmp_path.iterdir())

"""A whole connection: two pppds over a line, each in a network of its own; needs a kernel with PPP."""

import contextlib
import json
import os
import secrets
import select
import subprocess
import sys
import threading
import time
import tty

import pytest

from otppi.services.mobile_link import write_texts
from tests import needs
from tests.system.mobile.links import link

OURS, THEIRS = "10.64.0.2", "10.64.0.1"
SERVER = (
    f"import socket; s = socket.create_server(('{THEIRS}', 7007))\n"
    "while True: c = s.accept()[0]; c.sendall(b'x' * 100000); c.close()"
)
CLIENT = f"import socket; print(len(socket.create_connection(('{THEIRS}', 7007), 5).makefile('rb').read()))"


class Line:
    """A modem between two terminals: it speaks AT with one until it is dialled, and then hands bytes over."""

    def __init__(self):
        self._near, self._near_host = os.openpty()
        self._far, self._far_host = os.openpty()
        for end in (self._near_host, self._far_host):
            tty.setraw(end)
        self.near, self.far = os.ttyname(self._near_host), os.ttyname(self._far_host)
        self._stop_read, self._stop_write = os.pipe()
        self._is_online, self._heard = False, b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def hang_up(self):
        self._is_online, self._heard = False, b""

    def close(self):
        os.write(self._stop_write, b"x")
        self._thread.join(5)
        for fd in (self._near, self._near_host, self._far, self._far_host, self._stop_read, self._stop_write):
            os.close(fd)

    def _run(self):
        while True:
            ready, _, _ = select.select([self._near, self._far, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            for fd in ready:
                data = os.read(fd, 4096)
                if self._is_online:
                    os.write(self._far if fd == self._near else self._near, data)
                elif fd == self._near:
                    self._speak(data)

    def _speak(self, data):
        self._heard += data
        while b"\r" in self._heard:
            command, _, self._heard = self._heard.partition(b"\r")
            self._is_online = command.startswith(b"ATD")
            os.write(self._near, b"\r\nCONNECT\r\n" if self._is_online else b"\r\nOK\r\n")


class Network:
    """A network namespace of the test's own."""

    def __init__(self, stack, name):
        self.name = f"otppi-{name}-{secrets.token_hex(3)}"
        subprocess.run([needs.program("ip"), "netns", "add", self.name], check=True, timeout=10)
        stack.callback(subprocess.run, [needs.program("ip"), "netns", "del", self.name], timeout=10)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command):
        done = subprocess.run(self._inside(command), capture_output=True, text=True, timeout=30)
        return done.stdout if done.returncode == 0 else ""

    def start(self, stack, *command):
        process = subprocess.Popen(self._inside(command), stdin=subprocess.DEVNULL)
        stack.callback(end, process)
        return process

    def address(self):
        shown = json.loads(self.run("ip", "-j", "-4", "addr", "show", "dev", "ppp0") or "[]")
        return next((info["local"] for one in shown for info in one.get("addr_info", [])), None)

    def _inside(self, command):
        program, *arguments = command
        return [needs.program("ip"), "netns", "exec", self.name, needs.program(program), *arguments]


def end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def wait_until(condition, limit_s=30):
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come about in time"
        time.sleep(0.1)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as made:
        yield made


def test_it_connects_carries_data_notices_a_hang_up_and_connects_again(stack, tmp_path):
    needs.root()
    needs.device("/dev/ppp")
    needs.programs("pppd", "chat", "ip")
    line = Line()
    stack.callback(line.close)
    device, operator = Network(stack, "device"), Network(stack, "operator")
    options = write_texts(link(device=line.near, init_commands=()), tmp_path, None)
    # A terminal has neither carrier nor hardware flow control, and the test must not wait two minutes for silence.
    with options.open("a") as file:
        file.write("local\nnocrtscts\nnolock\nlcp-echo-interval 1\nlcp-echo-failure 3\n")
    theirs = (
        "pppd", line.far, "115200", "nodetach", "noauth", "local", "nocrtscts", "nolock", "passive", "noipv6",
        "nodefaultroute", "persist", "maxfail", "0", "holdoff", "1", "nolog", f"{THEIRS}:{OURS}",
    )  # fmt: skip
    peer = operator.start(stack, *theirs)

    ours = device.start(stack, "pppd", "file", str(options))
    wait_until(lambda: device.address() == OURS)
    operator.start(stack, sys.executable, "-c", SERVER)
    wait_until(lambda: device.run(sys.executable, "-c", CLIENT) == "100000\n")
    (route,) = json.loads(device.run("ip", "-j", "route", "show", "default"))
    assert (route["dev"], route["metric"]) == ("ppp0", 700)

    end(peer)  # politely: both ends know at once
    assert ours.wait(20) in (0, 16)
    assert not device.run("ip", "route", "show", "default")

    line.hang_up()
    operator.start(stack, *theirs)
    again = device.start(stack, "pppd", "file", str(options))
    wait_until(lambda: device.address() == OURS)
    line.hang_up()  # the operator is gone without a word
    assert again.wait(30) == 15


def test_ethernet_is_taken_first_while_both_are_there(stack, tmp_path):
    needs.root()
    needs.programs("ip")
    device = Network(stack, "device")
    device.run("ip", "link", "add", "wired", "type", "veth", "peer", "name", "switch")
    device.run("ip", "link", "add", "mobile", "type", "veth", "peer", "name", "mast")
    device.run("ip", "link", "set", "switch", "up")
    device.run("ip", "link", "set", "mast", "up")
    for name, address, metric in (("wired", "192.0.2.2/24", "100"), ("mobile", "198.51.100.2/24", "700")):
        device.run("ip", "addr", "add", address, "dev", name)
        device.run("ip", "link", "set", name, "up")
        device.run("ip", "route", "add", "default", "dev", name, "metric", metric)

    def way_out():
        shown = device.run("ip", "-j", "route", "get", "203.0.113.1")
        return json.loads(shown)[0]["dev"]

    assert way_out() == "wired"
    device.run("ip", "link", "set", "wired", "down")
    assert way_out() == "mobile"

"""The texts for pppd and chat, read by the real programs."""

import os
import shlex
import subprocess
import threading
import time
import tty
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otppi.modems.settings import ModemSettings
from otppi.services.mobile_link import links_of, write_texts
from otppi.system.mobile import peer
from tests import needs
from tests.system.mobile.links import LINK, link

CHAT_FILE = Path("/run/otppi-mobile/chat")
NO_KERNEL_SUPPORT = 4


class Pty:
    """A modem that answers each line, and the escape from data mode; what it was told is in `heard`."""

    def __init__(self, answers):
        self.fd, self.host = os.openpty()
        tty.setraw(self.host)
        self.device, self.heard, self._answers = os.ttyname(self.host), [], answers
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        line = b""
        while (byte := os.read(self.fd, 1)) != b"\x00":
            if byte != b"\r":
                line += byte
            if byte != b"\r" and line != b"+++":
                continue
            self.heard.append(line.decode())
            answer = self._answers(line.decode())
            line = b""
            if answer is not None:
                os.write(self.fd, f"\r\n{answer}\r\n".encode())

    def close(self):
        os.write(self.host, b"\x00")
        self._thread.join(5)
        assert not self._thread.is_alive()
        os.close(self.fd)
        os.close(self.host)


def obliging(line):
    return "CONNECT 115200" if line.startswith("ATD") else "OK"


def converse(script, answers, tmp_path, timeout_s=20):
    """Let the real chat speak with a modem; returns its exit code and what the modem was told."""
    needs.programs("chat")
    file = tmp_path / "chat"
    file.write_text(script)
    modem = Pty(answers)
    try:
        done = subprocess.run(
            [needs.program("chat"), "-s", "-S", "-f", file],
            stdin=modem.host,
            stdout=modem.host,
            stderr=subprocess.PIPE,
            timeout=timeout_s,
        )
    finally:
        modem.close()
    return done.returncode, modem.heard


def pppd_accepts(options, tmp_path):
    """Let the real pppd read options; it stops where it needs the kernel's PPP, or before it dials."""
    needs.root()
    needs.programs("pppd")
    file = tmp_path / "options"
    modem = Pty(obliging)  # pppd knows a device by its being there
    file.write_text("\n".join([modem.device, *options.splitlines()[1:], ""]))
    file.chmod(0o600)
    try:
        done = subprocess.run(
            [needs.program("pppd"), "file", file, "dryrun"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
        )
    finally:
        modem.close()
    assert done.returncode in (0, NO_KERNEL_SUPPORT), done.stdout + done.stderr
    return done.stdout


def test_chat_brings_a_modem_to_its_connection(tmp_path):
    code, heard = converse(peer.chat(LINK), obliging, tmp_path)
    assert code == 0
    assert heard == [
        "AT",
        "ATH",
        "ATE0",
        "ATZ",
        'AT+CGQREQ=1,2,4,3,6,31;+COPS=3,0,"x"',
        'AT+CGDCONT=1,"IP","internet"',
        "ATDT*99#",
    ]


def test_cdma_dials_without_a_context(tmp_path):
    smart = link(apn="smart", dial_number="#777", dial_command="ATD", init_commands=())
    assert converse(peer.chat(smart), obliging, tmp_path) == (0, ["AT", "ATH", "ATE0", "ATD#777"])


def test_without_an_apn_the_modem_uses_its_own(tmp_path):
    _, heard = converse(peer.chat(link(apn="", init_commands=())), obliging, tmp_path)
    assert heard == ["AT", "ATH", "ATE0", "ATDT*99#"]


@pytest.mark.parametrize("answer", ["NO CARRIER", "BUSY", "ERROR", "+CME ERROR: 30", "NO DIALTONE"])
def test_a_refusal_ends_the_conversation_at_once(answer, tmp_path):
    began_s = time.monotonic()
    code, _ = converse(peer.chat(LINK), lambda line: answer if line.startswith("ATD") else "OK", tmp_path)
    assert code >= 4
    assert time.monotonic() - began_s < 5


def test_an_init_command_that_is_refused_ends_it_too(tmp_path):
    code, heard = converse(peer.chat(LINK), lambda line: "ERROR" if line == "ATZ" else "OK", tmp_path)
    assert code >= 4
    assert heard[-1] == "ATZ"


def test_a_modem_still_in_a_connection_is_called_back(tmp_path):
    online = True

    def answers(line):
        nonlocal online
        online = online and line != "+++"
        return None if online else obliging(line)

    code, heard = converse(peer.chat(link(init_commands=())), answers, tmp_path)
    assert code == 0
    assert heard[:4] == ["AT", "AT", "+++", "ATH"]
    assert heard[-1] == "ATDT*99#"


def test_pppd_reads_the_options(tmp_path):
    pppd_accepts(peer.options(LINK, CHAT_FILE), tmp_path)


def test_pppd_reads_them_without_a_name(tmp_path):
    pppd_accepts(peer.options(link(username="", password="", apn=""), CHAT_FILE), tmp_path)


def test_pppd_would_say_what_it_does_not_know(tmp_path):
    needs.root()
    needs.programs("pppd")
    with pytest.raises(AssertionError, match="unrecognized option"):
        pppd_accepts(peer.options(LINK, CHAT_FILE) + "otppi-invention\n", tmp_path)


def test_ethernet_and_wifi_come_first_and_name_servers_stay_where_they_are():
    lines = peer.options(LINK, CHAT_FILE).splitlines()
    assert "defaultroute-metric 700" in lines
    assert "replacedefaultroute" not in lines
    assert {"usepeerdns", "ip-up-script /bin/true", "ip-down-script /bin/true"} <= set(lines)


def test_the_files_are_for_one_reader_and_the_password_is_in_one_of_them(tmp_path):
    options = write_texts(LINK, tmp_path)
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
    assert LINK.password in options.read_text()
    assert LINK.password not in (tmp_path / "chat").read_text()
    assert LINK.password not in repr(LINK)


@pytest.mark.parametrize(
    "changes",
    [
        {"username": 'me" nopersist "'},
        {"username": "me\nconnect /bin/sh"},
        {"password": "back\\slash"},
        {"password": "it's"},
        {"password": "caf\u00e9"},
        {"apn": 'internet","x'},
        {"apn": "internet\rATD0812"},
        {"device": "/dev/../etc/shadow"},
        {"device": "/srv/tty"},
        {"device": "/dev/ttyUSB0\nconnect"},
        {"device": "ttyUSB0"},
        {"init_commands": ("AT'\nSAY 'x",)},
        {"init_commands": ("AT\\T",)},
        {"init_commands": ("AT^D",)},
        {"init_commands": ("@/etc/shadow",)},
        {"init_commands": ("ABORT",)},
        {"init_commands": ("AT" + "0" * 300,)},
        {"dial_number": "*99#'"},
        {"dial_command": "SAY "},
    ],
)
def test_what_could_become_an_instruction_is_refused(changes):
    one = link(**changes)
    with pytest.raises(peer.BadLink):
        (peer.chat(one), peer.options(one, CHAT_FILE))


def modem_settings(**raw):
    return ModemSettings.parse({"name": "Data", "port": "ttyUSB0", "internet_access": True, **raw})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("apn", 'internet"'),
        ("apn", "two words"),
        ("apn_username", "a b"),
        ("apn_username", 'a"b'),
        ("apn_password", "a|b"),
        ("apn_password", "a\\b"),
        ("apn_password", "$HOME"),
        ("dial_number", "*99#;"),
        ("dial_number", ""),
        ("init_dial_1", "ABORT BUSY"),
        ("init_dial_1", "SAY hello"),
        ("init_dial_2", "AT\\T"),
        ("init_dial_3", "AT^DIAL"),
        ("init_dial_4", "AT'"),
        ("init_dial_5", "AT|x"),
        ("dial_command", "/bin/sh"),
    ],
)
def test_the_settings_take_no_such_value(name, value):
    assert set(modem_settings(**{name: value})[1]) == {name}


printable = st.text(st.characters(min_codepoint=1, max_codepoint=0x17F), max_size=40)
any_settings = st.fixed_dictionaries(
    {
        "apn": printable | st.from_regex(r"[A-Za-z0-9._-]{0,20}", fullmatch=True),
        "apn_username": printable,
        "apn_password": printable,
        "dial_number": printable | st.sampled_from(["*99#", "#777", "*99***1#"]),
        "init_dial_1": printable.map(lambda rest: f"AT{rest}"),
        "init_dial_2": printable,
        "dial_command": st.sampled_from(["ATD", "ATDT", "ATDP", "ATDX"]),
        "port": printable.map(lambda rest: f"tty{rest}"),
    }
)


@given(any_settings)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_whatever_the_settings_accept_makes_the_same_words_of_the_same_lines(raw):
    accepted = {name: value for name, value in raw.items() if name not in modem_settings(**raw)[1]}
    made, errors = modem_settings(**accepted)
    assert not errors
    (one,) = links_of({"data": made})
    try:
        options, chat = peer.options(one, CHAT_FILE), peer.chat(one)
    except peer.BadLink:
        odd = ".." in one.device or "//" in one.device or one.device.endswith("/")
        assert odd or not one.device.startswith("/dev/")
        return
    plain = peer.options(LINK, CHAT_FILE).splitlines()
    lines = options.splitlines()
    # POSIX words are those of pppd here: no backslash is left, and quotes are double.
    assert [shlex.split(line, comments=True)[:1] for line in lines[2:]] == [
        shlex.split(line)[:1] for line in plain[2:]
    ]
    words = {line.split()[0]: shlex.split(line) for line in lines}
    assert words["user"] == ["user", made.apn_username or "internet"]
    assert words["password"] == ["password", made.apn_password or "internet"]
    expected = [*one.init_commands]
    if one.apn and one.is_gsm:
        expected.append(f'AT+CGDCONT=1,"IP","{one.apn}"')
    expected.append(one.dial_command + one.dial_number)
    ours = [line for line in chat.splitlines() if line.startswith("OK 'AT")]
    assert [line.removeprefix("OK '").removesuffix("'") for line in ours] == ["ATE0", *expected]
    assert not {"\\", "^"} & set("".join(expected))


@pytest.mark.parametrize(
    "command", ["AT" + "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in "'\\^|`[]{}")]
)
def test_chat_sends_every_sign_that_the_settings_accept_as_it_is(command, tmp_path):
    made, errors = modem_settings(init_dial_1=command)
    assert not errors
    code, heard = converse(peer.chat(links_of({"data": made})[0]), obliging, tmp_path)
    assert code == 0
    assert command in heard


def test_pppd_takes_every_sign_that_the_settings_accept(tmp_path):
    signs = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in "\"'\\^|`$[]{}")
    halves = (signs[:44], signs[44:])
    made, errors = modem_settings(apn_username=halves[0], apn_password=halves[1])
    assert not errors
    pppd_accepts(peer.options(links_of({"data": made})[0], CHAT_FILE), tmp_path)

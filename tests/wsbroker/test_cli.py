import base64
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import websocket
from click.testing import CliRunner

from otppi.wsbroker.cli import ws_broker
from otppi.wsbroker.passwords import is_right

_COMMAND = (sys.executable, "-c", "from otppi.wsbroker.cli import ws_broker; ws_broker()")


def said(*arguments: object, stdin: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(ws_broker, [str(one) for one in arguments], input=stdin)
    return done.exit_code, done.output


def started(*arguments: object) -> tuple[int, str]:
    """In a process of its own, as it takes the log of the whole process."""
    done = subprocess.run([*_COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_a_signal_and_says_goodbye(htpasswd, free_port, number):
    port = free_port()
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--htpasswd", str(htpasswd)]
    running = subprocess.Popen([*_COMMAND, *arguments], stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    lines = []
    while "listening" not in (line := running.stderr.readline()):
        assert line, lines
        lines.append(line)
    secret = base64.b64encode(b"shop:shop").decode()
    client = websocket.create_connection(
        f"ws://127.0.0.1:{port}/ws?topic=sms", header=[f"Authorization: Basic {secret}"], timeout=5
    )
    # A second one is told in one sentence why it cannot be.
    assert started(*arguments) == (
        1,
        f"otppi: port {port} at 127.0.0.1 cannot be had: Address already in use\n",
    )
    running.send_signal(number)
    assert client.recv_data() == (websocket.ABNF.OPCODE_CLOSE, b"\x03\xe9")
    client.shutdown()
    _, errors = running.communicate(timeout=10)
    assert (running.returncode, "Traceback" in errors) == (0, False)
    assert "'ended'" in errors


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--htpasswd", "missing"], "the password file missing cannot be read: No such file or directory"),
        (
            ["--certificate", "broken", "--key", "missing"],
            "missing cannot be read: No such file or directory",
        ),
        (
            ["--certificate", "broken", "--key", "broken"],
            "broken and broken are not a certificate and its key as PEM, or the key has a passphrase",
        ),
        (["--host", "192.0.2.1"], "port 1 at 192.0.2.1 cannot be had: Cannot assign requested address"),
    ],
)
def test_what_is_missing_is_named_in_one_sentence(options, sentence, htpasswd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").write_text("no certificate")
    assert started("--port", 1, "--htpasswd", htpasswd, *options) == (1, f"otppi: {sentence}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give --htpasswd"),
        (["--htpasswd", "x", "--key", "x"], "together"),
        (["--htpasswd", "x", "--memory-s", "0"], "range"),
        (["--htpasswd", "x", "--port", "70000"], "range"),
    ],
)
def test_wrong_usage(arguments, words):
    code, text = said(*arguments)
    assert (code, words in text) == (2, True)


def test_a_line_for_a_user_is_printed():
    code, line = said("password", "shop", stdin="invented pass word \r\n")
    assert code == 0
    assert re.fullmatch(r"shop:\$2y\$10\$.{53}\n", line)
    assert is_right(b"invented pass word ", line.strip().partition(":")[2])


def test_a_line_is_put_into_the_file_which_stays_whose_it_was(tmp_path):
    file: Path = tmp_path / "htpasswd"
    assert said("password", "shop", "--htpasswd", file, stdin="one\n") == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    assert said("password", "device", "--htpasswd", file, stdin="two\n") == (0, "")
    assert said("password", "shop", "--htpasswd", file, stdin="three\n") == (0, "")
    lines = dict(line.split(":") for line in file.read_text().splitlines())
    assert [list(lines), file.stat().st_mode & 0o777] == [["shop", "device"], 0o640]
    assert [is_right(b"three", lines["shop"]), is_right(b"two", lines["device"])] == [True, True]


@pytest.mark.parametrize(
    ("user", "password", "words"),
    [
        ("a:b", "x", "no colon"),
        ("#a", "x", "begin"),
        ("a\nb", "x", "control"),
        ("", "x", "user name"),
        ("shop", "", "no password"),
        ("shop", "ö" * 37, "72 bytes"),
        ("shop", "a\0b", "none of them is 0"),
    ],
)
def test_what_cannot_be_in_such_a_file_is_refused(user, password, words):
    code, text = said("password", "--", user, stdin=f"{password}\n")
    assert (code, words in text) == (1, True)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "missing" / "htpasswd"
    assert said("password", "shop", "--htpasswd", file, stdin="x\n") == (
        1,
        f"otppi: {file} cannot be written: No such file or directory\n",
    )


def test_the_command_line_loads_no_library_before_it_is_needed():
    script = (
        "import sys, otppi.wsbroker.cli; print({'websockets', 'bcrypt', 'asyncio', 'ssl'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "set()\n"

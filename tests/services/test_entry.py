import subprocess
import sys

import pytest

_WITHOUT_A_DEVICE = "import sys; sys.modules['bottle'] = None; from otppi.__main__ import main; main()"


def otppi(*words, program=("-m", "otppi")):
    return subprocess.run(
        [sys.executable, *program, *words], capture_output=True, text=True, timeout=60, check=False
    )


def on_a_server(*words):
    return otppi(*words, program=("-c", _WITHOUT_A_DEVICE))


def test_a_device_has_all_commands():
    listed = otppi("--help").stdout
    assert all(f"  {name} " in listed for name in ("serve", "publish", "ws-broker", "broker"))


def test_an_application_server_has_those_that_are_for_it():
    listed = on_a_server("--help").stdout
    assert "publish" in listed
    assert "serve" not in listed


@pytest.mark.parametrize("name", ["serve", "nonsense"])
def test_the_others_are_refused_in_words(name):
    done = on_a_server(name)
    assert done.returncode == 2
    assert "only the commands for application servers" in done.stderr


def test_a_command_that_does_not_exist_is_refused():
    done = otppi("nonsense")
    assert done.returncode == 2
    assert "No such command" in done.stderr

"""The applier on real state folders, with a real gateway and without one."""

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from otppi.gateway.accounts import Administrator, ApiUser
from otppi.gateway.policy import SmsSettings
from otppi.lib.filelock import AlreadyHeld, hold
from otppi.model.events import ResetByStick
from otppi.services.control import ControlServer
from otppi.services.reset_apply import ResetOutcome, apply
from otppi.services.sections import SECTIONS
from otppi.settings.resetfile import secret_hash
from otppi.settings.store import SettingsStore
from otppi.system.reset import record
from otppi.system.reset.settings import ResetSettings
from otppi.system.reset.snapshot import Snapshot, Stick
from tests.gateway_under_test import USER

A = Stick(
    device="sda1",
    filesystem="vfat 1234-ABCD",
    file_sha256="a" * 64,
    flags=("RESET_FUTURE", "RESET_SMS", "RESET_USER"),
)
RESET = ResetOutcome(
    sections=("Administrators", "Tokens of the admin API", "Sending SMS"), without=("RESET_FUTURE",)
)
NTFS = Stick.refused("sdb1", "the stick is formatted as NTFS")


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def seen(tmp_path):
    def write(*sticks, settled=True):
        (tmp_path / "sticks.json").write_bytes(Snapshot(sticks=sticks, is_settled=settled).as_json())
        return tmp_path / "sticks.json"

    return write


def change(state):
    store = SettingsStore(state, SECTIONS, None)
    store.update(SmsSettings, {"country_code": "49"})
    store.put(Administrator, "owner", {"password": "long enough"})


def country(state):
    return SettingsStore(state, SECTIONS, None).get(SmsSettings).country_code


def test_without_a_gateway_the_folder_is_reset(state, seen, caplog):
    change(state)
    with caplog.at_level(logging.INFO):
        assert apply(state, seen(A)) == RESET
    assert country(state) == "62"
    assert not SettingsStore(state, SECTIONS, None).items(Administrator)
    assert "USB stick" in caplog.text
    assert record.load(state).applied.done == A.flags


def test_a_gateway_that_cannot_start_for_its_settings_is_reset(state, seen):
    change(state)
    for path in (state / "settings").iterdir():
        path.write_bytes(b"\0" * 100)
    assert apply(state, seen(A)).sections == RESET.sections
    assert country(state) == "62"


def test_the_stick_left_in_resets_once_and_again_when_it_was_away(state, seen):
    assert apply(state, seen(A)) == RESET
    change(state)
    for again in (seen(A), seen(A), seen(settled=False), seen(A, NTFS)):
        assert apply(state, again) == ResetOutcome()
    assert country(state) == "49"
    assert apply(state, seen()) == ResetOutcome()
    assert apply(state, seen(A)) == RESET
    assert country(state) == "62"


def test_a_refusal_is_told_once(state, seen):
    assert apply(state, seen(NTFS)) == ResetOutcome(refusal=NTFS.refusal)
    assert apply(state, seen(NTFS)) == ResetOutcome()
    apply(state, seen())
    assert apply(state, seen(NTFS)).refusal == NTFS.refusal


@pytest.mark.parametrize(
    "data", [None, b"", b"{}", b'{"version": 1, "settled": true, "sticks": [{"flags": ["x"]}]}']
)
def test_without_a_snapshot_that_can_be_trusted_nothing_is_done(state, tmp_path, data):
    change(state)
    if data is not None:
        (tmp_path / "sticks.json").write_bytes(data)
    assert apply(state, tmp_path / "sticks.json") == ResetOutcome()
    assert country(state) == "49"


def test_where_the_settings_ask_for_the_secret_only_the_right_one_resets(state, seen, caplog):
    change(state)
    SettingsStore(state, (ResetSettings,), None).update(ResetSettings, {"needs_secret": True})
    right = Stick(**{**vars(A), "secret_sha256": secret_hash("lusab-babad")})
    assert "no line SECRET" in apply(state, seen(A), lambda: "lusab-babad").refusal
    assert "is not the set-up secret" in apply(state, seen(right), lambda: "other-words").refusal
    assert apply(state, seen(right)).refusal == ""  # told already
    assert country(state) == "49"
    assert apply(state, seen(right), lambda: "lusab-babad") == RESET
    assert "lusab" not in caplog.text


def test_a_running_gateway_does_it_and_tells_its_bus_once_it_is_marked(gateway, seen, clock):
    running = gateway(on_desk=True)
    heard = []

    def hear(event):
        heard.append((event, record.load(running.state_dir).applied is not None))

    running.gateway.bus.subscribe("test", hear, ResetByStick)
    running.gateway.store.update(SmsSettings, {"country_code": "49"})
    stick = Stick(**{**vars(A), "flags": ("RESET_API_USER", "RESET_SMS")})
    outcome = apply(running.state_dir, seen(stick), clock=clock)
    assert outcome.sections == ("API users", "Accounts of the vendor API", "Sending SMS")
    assert running.gateway.store.get(SmsSettings).country_code == "62"
    assert USER not in running.gateway.store.items(ApiUser)
    assert running.call("send-sms", receiver="081200000001", message="x").status == 401
    running.wait_until(lambda: heard)
    assert heard == [(ResetByStick(sections=outcome.sections), True)]
    assert record.load(running.state_dir).last.when == "2027-01-15T08:00:00+00:00"
    assert apply(running.state_dir, seen(stick)) == ResetOutcome()
    assert apply(running.state_dir, seen(stick, NTFS)) == ResetOutcome()
    assert apply(running.state_dir, seen(NTFS)).refusal
    running.wait_until(lambda: len(heard) == 2)
    assert heard[1][0] == ResetByStick(sections=(), refusal=NTFS.refusal)


def test_a_gateway_that_is_just_starting_is_waited_for(state, seen):
    change(state)
    (state / "lock").touch()
    held, go = threading.Event(), threading.Event()

    def keep():
        with hold(state / "lock"):
            held.set()
            go.wait(10)

    keeper = threading.Thread(target=keep)
    keeper.start()
    held.wait(10)
    threading.Timer(0.3, go.set).start()
    assert apply(state, seen(A)) == RESET
    keeper.join()


def test_a_gateway_that_hangs_is_reported_and_the_reset_stays_open(state, seen):
    change(state)
    with hold(state / "lock"):
        outcome = apply(state, seen(A), patience_s=0)
    assert "restart the device" in outcome.failed["everything"]
    assert "nothing was reset" in outcome.lines()[0]
    assert apply(state, seen(A)) == RESET


def test_a_gateway_of_an_older_release_is_reported(state, seen):
    change(state)
    server = ControlServer(state, {})
    server.start()
    try:
        assert "refused" in apply(state, seen(A)).failed["everything"]
    finally:
        server.stop()
    assert apply(state, seen(A)) == RESET


def test_what_failed_is_named_and_tried_again_alone(state, seen):
    change(state)
    obstacle = state / "settings" / ".sms.json.new"
    obstacle.mkdir()
    outcome = apply(state, seen(A))
    assert outcome.sections == ("Administrators", "Tokens of the admin API")
    assert list(outcome.failed) == ["Sending SMS"]
    SettingsStore(state, SECTIONS, None).put(Administrator, "new", {"password": "long enough"})
    obstacle.rmdir()
    assert apply(state, seen(A)).sections == ("Sending SMS",)
    assert "new" in SettingsStore(state, SECTIONS, None).items(Administrator)
    assert apply(state, seen(A)) == ResetOutcome()


def test_a_mark_that_cannot_be_written_is_said_and_the_reset_is_done(state, seen):
    change(state)
    (state / f".{record.FILE_NAME}.new").mkdir()
    outcome = apply(state, seen(A))
    assert outcome.sections == RESET.sections
    assert "may do it again" in outcome.failed["the mark of this reset"]
    assert country(state) == "62"


def test_two_appliers_do_not_work_at_once(state, seen):
    state.mkdir()
    with hold(state / "reset-mark.lock"), pytest.raises(AlreadyHeld):
        apply(state, seen(A))


_KILLED = """
import os, signal, sys
from pathlib import Path
from otppi.services import reset_apply
from otppi.system.reset import record
point = sys.argv[3]
real_save, real_call = record.save, reset_apply.call
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def call(state, name, args, limit_s):
    if point == name:
        die()
    return real_call(state, name, args, limit_s)
reset_apply.call = call
if point == "mark":
    record.save = die
print(reset_apply.apply(Path(sys.argv[1]), Path(sys.argv[2])).sections)
"""


@pytest.mark.parametrize(
    ("point", "is_reset", "is_marked"),
    [
        ("reset.apply", False, False),
        ("mark", True, False),
        ("reset.report", True, True),
        ("never", True, True),
    ],
)
def test_no_power_cut_loses_a_reset_or_repeats_one_that_is_marked(state, seen, point, is_reset, is_marked):
    change(state)
    command = [sys.executable, "-c", _KILLED, str(state), str(seen(A)), point]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, timeout=30)
    assert (done.returncode == 0) == (point == "never"), done.stderr
    assert (country(state) == "62") == is_reset
    assert (record.load(state).applied is not None) == is_marked
    assert apply(state, seen(A)) == (ResetOutcome() if is_marked else RESET)
    assert country(state) == "62"


def test_the_console_says_it_in_plain_words():
    assert RESET.lines() == (
        "USB stick: reset to factory values: Administrators, Tokens of the admin API, Sending SMS.",
        "USB stick: nothing to reset for RESET_FUTURE in this release.",
        "USB stick: take it out now.",
    )
    assert ResetOutcome(refusal="it is NTFS").lines() == ("USB stick: nothing was reset: it is NTFS.",)
    partly = ResetOutcome(sections=("A",), failed={"B": "disk full"}, unclear=("RESET_C",))
    assert partly.lines()[1:3] == (
        "USB stick: NOT reset: B: disk full.",
        "USB stick: RESET_C is neither true nor false; it did nothing.",
    )
    assert ResetOutcome().lines() == ()

import json
import logging
import os
from pathlib import Path

import pytest

from otppi.lib import logfmt
from otppi.lib.logring import LogRing
from otppi.model.errors import BadRequest, HostError
from otppi.services.control import call
from otppi.services.logs import Logs
from otppi.system import journal
from tests import needs
from tests.rootfs_overlay.staged import own_units

log = logging.getLogger("otppi.tests.logs")


@pytest.fixture
def logs():
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    one = Logs(has_journal=False)
    one.start()
    yield one
    one.stop()
    root.setLevel(before)


def said(found):
    return [line["text"] for line in found["lines"]]


def test_the_newest_line_comes_first_in_the_form_of_the_log(logs):
    log.info("first")
    log.warning("second one", extra={"fields": {"to": "62812•••••34", "seconds": 1.5}})
    newest, oldest = logs.lines()["lines"]
    assert newest["at"].endswith("Z")
    assert (newest["level"], newest["part"]) == ("warning", "tests.logs")
    assert newest["text"] == "'second one' to=62812•••••34 seconds=1.500"
    assert oldest["text"] == "'first'"


def test_lines_are_found_by_level_and_text_and_told_in_pages(logs):
    for number in range(5):
        log.info("line %d", number)
    log.error("Cannot LISTEN")
    log.debug("nobody asked")
    assert said(logs.lines(level="error")) == ["'Cannot LISTEN'"]
    assert said(logs.lines(search="listen")) == ["'Cannot LISTEN'"]
    page = logs.lines(search="line", offset=1, count=2)
    assert (said(page), page["total"]) == (["'line 3'", "'line 2'"], 5)
    assert logs.lines(offset=100)["lines"] == []


@pytest.mark.parametrize(
    "wrong",
    [{"level": "loud"}, {"offset": -1}, {"count": 0}, {"count": 501}],
    ids=lambda one: next(iter(one)),
)
def test_what_cannot_be_asked_is_refused(logs, wrong):
    with pytest.raises(BadRequest, match=next(iter(wrong))):
        logs.lines(**wrong)


def test_the_file_has_all_lines_the_oldest_first(logs):
    log.info("first")
    try:
        raise ValueError("odd")
    except ValueError:
        log.exception("second")
    text = logs.text()
    assert text.index("'first'") < text.index("'second'") < text.index("ValueError: odd")
    assert text.endswith("\n")


def test_after_the_end_nothing_is_kept(logs):
    logs.stop()
    log.warning("late")
    assert logs.lines()["total"] == 0


def test_the_lines_are_bounded_in_number_and_length():
    ring = LogRing(lines=3)
    for number in range(5):
        ring.handle(logging.LogRecord("otppi.x", logging.INFO, "", 0, f"{number} " + "x" * 9_000, (), None))
    found = ring.found()
    assert [line.pieces[3][1] for line in found] == ["4", "3", "2"]
    assert {len(line.text) for line in found} == {4_000}


def test_standard_error_shows_less_than_is_kept(logs, capsys):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logfmt.configure("warning")
        logs.start()
        log.info("quiet")
        log.warning("loud")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert said(logs.lines()) == ["'loud'", "'quiet'"]
    shown = capsys.readouterr().err
    assert "loud" in shown
    assert "quiet" not in shown


def test_a_gateway_tells_its_lines(gateway):
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    try:
        one = gateway(modems=())
        found = call(one.state_dir, "log.list", {"search": "the gateway runs"}, 10)
    finally:
        root.setLevel(level)
    assert found["total"] == 1


# -- the journal


def entry(**fields):
    return json.dumps({"__REALTIME_TIMESTAMP": "1800000000123456", **fields}).encode()


def test_entries_are_read_as_journalctl_writes_them():
    lines = list(
        journal.lines_of(
            [
                entry(PRIORITY="4", SYSLOG_IDENTIFIER="kernel", MESSAGE="usb 1-1.3: reset"),
                entry(PRIORITY="6", SYSLOG_IDENTIFIER="pppd", MESSAGE=[111, 107, 255]),
                entry(MESSAGE=None),
                b"not JSON",
                b"[]",
                b"{}",
            ]
        )
    )
    assert [(one.level, one.part, one.text) for one in lines] == [
        ("warning", "kernel", "usb 1-1.3: reset"),
        ("info", "pppd", "ok\ufffd"),
        ("", "", "(too long to be shown)"),
    ]
    assert lines[0].at.isoformat() == "2027-01-15T08:00:00.123456+00:00"


@pytest.fixture
def journalctl(tmp_path, monkeypatch):
    """Put a program in the place of journalctl; returns how to say what it does, and where its arguments are."""
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    asked = tmp_path / "asked"

    def does(script: str) -> Path:
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {asked}\n{script}\n')
        program.chmod(0o755)
        return asked

    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    return does


def test_a_unit_is_asked_for_by_a_name_of_the_list(journalctl):
    asked = journalctl(f"echo '{entry(PRIORITY='3', SYSLOG_IDENTIFIER='otppi', MESSAGE='x').decode()}'")
    logs = Logs(has_journal=True)
    (line,) = logs.journal("otppi-usb-restart", 7)
    assert line == {
        "at": "2027-01-15T08:00:00.123456+00:00",
        "level": "error",
        "part": "otppi",
        "text": "x",
    }
    arguments = asked.read_text().split("\n")
    assert {"--unit=otppi-usb-restart@*.service", "--lines=7", "--output=json"} <= set(arguments)
    logs.journal("kernel", 7)
    assert {"--dmesg", "--priority=warning"} <= set(asked.read_text().split("\n"))
    for unit in ("sshd", "otppi --all", ""):
        with pytest.raises(BadRequest, match="unit"):
            logs.journal(unit)


def test_a_journal_that_says_no_is_an_error_with_its_words(journalctl):
    journalctl("echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1")
    with pytest.raises(HostError, match="insufficient permissions"):
        journal.read_journal("otppi.service", 5)


def test_a_machine_without_a_journal_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="no journal"):
        journal.read_journal(journal.KERNEL, 5)


@pytest.mark.parametrize("source", ["otppi.service", "otppi-usb-restart@*.service", journal.KERNEL])
def test_the_real_journalctl_understands_what_it_is_asked(source):
    needs.programs("journalctl")
    assert isinstance(journal.read_journal(source, 1), list)


def test_every_unit_of_the_device_can_be_chosen():
    assert {unit.replace("*", "") for unit in journal.UNITS} == set(own_units("service"))
    assert len(Logs(has_journal=True).units()) == len(journal.UNITS) + 1


def test_only_a_device_offers_its_journal():
    assert set(Logs(has_journal=True).functions()) == {"log.list", "log.text", "log.journal", "log.units"}
    assert set(Logs(has_journal=False).functions()) == {"log.list", "log.text"}

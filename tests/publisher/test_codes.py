"""Codes of an application's own, shared by all its processes."""

import os
import subprocess
import sys

import pytest

from otppi.gateway.journal import Journal
from otppi.lib.filelock import hold
from otppi.model.errors import (
    BadRequest,
    DuplicateReference,
    MessageExpired,
    OtpExpired,
    OtpInvalid,
    OtpTooManyTries,
)
from otppi.publisher import CodesUnavailable, OwnCodes
from otppi.publisher import codes as codes_module

NUMBER, OTHER = "081200000001", "081200000002"
PARAMS = ("100000", "", "", "")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "codes"


def parts(folder):
    return [path for path in folder.iterdir() if path.is_dir()]


def test_a_code_is_accepted_once_in_another_instance(folder):
    issued = OwnCodes(folder).issue("r1", NUMBER, PARAMS, 60)
    with pytest.raises(OtpInvalid):
        OwnCodes(folder).verify("r1", OTHER, PARAMS, issued.code)
    with pytest.raises(OtpInvalid):
        OwnCodes(folder).verify("r1", NUMBER, ("1", "", "", ""), issued.code)
    OwnCodes(folder).verify("r1", "+62 812-0000-0001", PARAMS, issued.code)
    with pytest.raises(OtpInvalid):
        OwnCodes(folder).verify("r1", NUMBER, PARAMS, issued.code)


def test_an_address_is_one_however_it_is_spelt(folder):
    issued = OwnCodes(folder).issue("r1", "Ani@Example.com", PARAMS, 60)
    OwnCodes(folder).verify("r1", "ani@example.COM", PARAMS, issued.code)
    with pytest.raises(BadRequest, match="receiver"):
        OwnCodes(folder).issue("r1", "not a number", PARAMS, 60)


def test_a_live_reference_is_refused_until_it_is_revoked_or_over(folder, clock):
    codes = OwnCodes(folder, clock=clock)
    issued = codes.issue("r1", NUMBER, PARAMS, 60)
    with pytest.raises(DuplicateReference) as caught:
        codes.issue("r1", NUMBER, PARAMS, 60)
    assert caught.value.retry_after_s == 60
    codes.revoke("r1", issued)
    again = codes.issue("r1", NUMBER, PARAMS, 60)
    codes.revoke("r1", issued)  # of the first one: it is not this
    clock.advance(60)
    with pytest.raises(OtpExpired):
        codes.verify("r1", NUMBER, PARAMS, again.code)
    codes.issue("r1", NUMBER, PARAMS, 60)


def test_lives_are_cut_to_ten_minutes_and_to_what_is_set(folder):
    assert OwnCodes(folder).issue("r1", NUMBER, PARAMS, 9999).life_s == 300
    assert OwnCodes(folder, max_life_s=9999).issue("r2", NUMBER, PARAMS, 9999).life_s == 600
    with pytest.raises(MessageExpired):
        OwnCodes(folder).issue("r3", NUMBER, PARAMS, 0)


def test_wrong_tries_count_in_all_processes_together(folder):
    issued = OwnCodes(folder).issue("r1", NUMBER, PARAMS, 60)
    for _ in range(5):
        with pytest.raises(OtpInvalid):
            OwnCodes(folder).verify("r1", NUMBER, PARAMS, "nope")
    with pytest.raises(OtpTooManyTries):
        OwnCodes(folder).verify("r1", NUMBER, PARAMS, issued.code)


_RACER = """
import sys
from pathlib import Path
from otppi.model.errors import OtpInvalid, DuplicateReference
from otppi.publisher.codes import OwnCodes

codes, number, what = OwnCodes(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
print("ready", flush=True)
sys.stdin.readline()
try:
    if what == "verify":
        codes.verify("r1", number, ("", "", "", ""), sys.argv[4])
    else:
        codes.issue("r1", number, ("", "", "", ""), 60)
    print("won")
except (OtpInvalid, DuplicateReference):
    print("lost")
"""


def race(folder, *words):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, folder, NUMBER, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for one in racers:
        assert one.stdout.readline() == "ready\n"
    for one in racers:
        one.stdin.write("go\n")
        one.stdin.flush()
    return sorted(one.communicate(timeout=60)[0].strip() for one in racers)


def test_of_eight_processes_with_the_right_code_one_wins(folder):
    issued = OwnCodes(folder).issue("r1", NUMBER, ("", "", "", ""), 60)
    assert race(folder, "verify", issued.code) == ["lost"] * 7 + ["won"]


def test_of_eight_processes_that_make_a_code_of_one_reference_one_wins(folder):
    # Not even the folder and its key are there.
    assert race(folder, "issue") == ["lost"] * 7 + ["won"]


def test_only_hashes_lie_in_files_of_the_user_alone(folder):
    issued = OwnCodes(folder).issue("order-4711", NUMBER, PARAMS, 60)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"otp.key", "lock", "journal.jsonl"}
    everything = b"".join(path.read_bytes() for path in files)
    for secret in (issued.code, NUMBER, "6281200000001", "order-4711"):
        assert secret.encode() not in everything
    assert all(path.stat().st_mode & 0o077 == 0 for path in [folder, *folder.rglob("*")])
    assert issued.code not in repr(issued)


def test_what_is_over_leaves_the_files(folder, clock):
    codes = OwnCodes(folder, clock=clock)
    codes.issue("r1", NUMBER, PARAMS, 60)
    [part] = parts(folder)
    journal = part / "journal.jsonl"
    assert len(journal.read_bytes().splitlines()) == 2
    for _ in range(3):
        with pytest.raises(OtpInvalid):
            codes.verify("r1", NUMBER, PARAMS, "nope")
    assert len(journal.read_bytes().splitlines()) == 2
    clock.advance(60 + 600)
    with pytest.raises(OtpInvalid):
        codes.verify("r1", NUMBER, PARAMS, "nope")
    assert len(journal.read_bytes().splitlines()) == 1


def test_a_restart_of_the_machine_forgets_the_codes(folder):
    issued = OwnCodes(folder).issue("r1", NUMBER, PARAMS, 60)
    [part] = parts(folder)
    journal = part / "journal.jsonl"
    head, *lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([head.replace(b'"boot_id": "', b'"boot_id": "x'), *lines]))
    with pytest.raises(OtpInvalid):
        OwnCodes(folder).verify("r1", NUMBER, PARAMS, issued.code)


def test_a_torn_line_is_passed_over(folder):
    issued = OwnCodes(folder).issue("r1", NUMBER, PARAMS, 60)
    [part] = parts(folder)
    with (part / "journal.jsonl").open("ab") as journal:
        journal.write(b'["otp",["00ff')
    OwnCodes(folder).verify("r1", NUMBER, PARAMS, issued.code)
    with (part / "journal.jsonl").open("wb") as journal:
        journal.write(b"\0" * 100)
    with pytest.raises(OtpInvalid):
        OwnCodes(folder).verify("r1", NUMBER, PARAMS, issued.code)
    OwnCodes(folder).issue("r1", NUMBER, PARAMS, 60)


def refused(folder, match):
    for attempt in (
        lambda: OwnCodes(folder).issue("r1", NUMBER, PARAMS, 60),
        lambda: OwnCodes(folder).verify("r1", NUMBER, PARAMS, "123456"),
    ):
        with pytest.raises(CodesUnavailable, match=match):
            attempt()


def test_a_link_is_not_followed(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    refused(folder, "is a link or a file")
    assert not list(elsewhere.iterdir())
    folder.unlink()
    folder.touch()
    refused(folder, "File exists")


def test_a_folder_that_others_may_write_to_is_refused(folder):
    folder.mkdir()
    folder.chmod(0o770)
    refused(folder, "can be written by other users")
    folder.chmod(0o755)
    OwnCodes(folder).issue("r1", NUMBER, PARAMS, 60)


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT SHOWN HERE: needs root")
def test_a_folder_of_another_user_is_refused(folder):
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    refused(folder, "belongs to another user")


def test_a_key_that_is_a_link_or_damaged_is_refused(folder, tmp_path):
    folder.mkdir(mode=0o700)
    (tmp_path / "key").write_bytes(b"k" * 32)
    (folder / "otp.key").symlink_to(tmp_path / "key")
    refused(folder, "symbolic links")
    (folder / "otp.key").unlink()
    (folder / "otp.key").write_bytes(b"short")
    refused(folder, "does not hold a key")


def test_a_folder_without_a_parent_is_said(tmp_path):
    refused(tmp_path / "nowhere" / "codes", "No such file or directory")


def test_a_process_that_never_lets_go_is_not_waited_for_for_ever(folder, monkeypatch):
    issued = OwnCodes(folder).issue("r1", NUMBER, PARAMS, 60)
    monkeypatch.setattr(codes_module, "_LONGEST_WAIT_S", 0.05)
    with hold(parts(folder)[0] / "lock"), pytest.raises(CodesUnavailable, match="another process"):
        OwnCodes(folder).verify("r1", NUMBER, PARAMS, issued.code)
    OwnCodes(folder).verify("r1", NUMBER, PARAMS, issued.code)


def test_a_right_code_is_not_accepted_where_that_cannot_be_written(folder):
    issued = OwnCodes(folder).issue("r1", NUMBER, PARAMS, 60)
    [part] = parts(folder)
    (part / "journal.new").mkdir()  # where a new journal is written
    with pytest.raises(CodesUnavailable, match="cannot be written"):
        OwnCodes(folder).verify("r1", NUMBER, PARAMS, issued.code)
    (part / "journal.new").rmdir()
    with pytest.raises(OtpInvalid):  # and it is not known any more, rather than known twice
        OwnCodes(folder).verify("r1", NUMBER, PARAMS, issued.code)


def test_a_journal_may_lie_on_any_file_system_where_that_is_wanted(tmp_path, clock):
    journal = Journal(tmp_path / "journal", clock, needs_ram=False)
    assert journal.is_kept
    words = []
    journal.register("words", words.append, lambda: [["kept"]])
    journal.append("words", ["dropped"])
    journal.compact()
    journal.close()
    journal = Journal(tmp_path / "journal", clock, needs_ram=False)
    journal.register("words", words.append, lambda: [])
    journal.close()
    assert words == [["kept"]]

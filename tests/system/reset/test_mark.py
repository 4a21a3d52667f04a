from dataclasses import replace

import pytest

from otppi.settings.resetfile import secret_hash
from otppi.system.reset import mark
from otppi.system.reset.mark import Apply, Refuse, decide, forget_absent
from otppi.system.reset.record import Record
from otppi.system.reset.snapshot import Snapshot, Stick

A = Stick(device="sda1", filesystem="vfat 1234-ABCD", file_sha256="a" * 64, flags=("RESET_SMS", "RESET_WLAN"))
B = Stick(device="sdb1", filesystem="ext4 00ff", file_sha256="b" * 64, flags=("RESET_API",))
BAD = Stick.refused("sdc", "the stick is formatted as NTFS")
BAD_FILE = Stick.refused("sdd1", "VERIFY is missing", "vfat 0000-0001", "c" * 64)
APPLIED = Record(applied=mark.applied(A, frozenset(A.flags)))


def seen(*sticks, settled=True):
    return Snapshot(sticks=sticks, is_settled=settled)


def test_nothing_in_nothing_to_do():
    assert decide(Record(), seen(), None) is None


def test_a_new_stick_is_applied():
    assert decide(Record(), seen(A), None) == Apply(A, frozenset(A.flags), frozenset())


def test_the_first_valid_stick_wins():
    assert decide(Record(), seen(BAD, A, B), None).stick == A
    assert decide(Record(), seen(BAD_FILE, B, A), None).stick == B


def test_the_same_stick_left_in_is_not_applied_again_and_keeps_others_out_in_any_order():
    for sticks in ((A,), (A, B), (B, A), (BAD, B, A)):
        assert decide(APPLIED, seen(*sticks), None) is None


def test_the_same_stick_in_another_socket_is_the_same():
    assert decide(APPLIED, seen(replace(A, device="sdq1")), None) is None


def test_another_file_or_another_stick_is_applied():
    assert decide(APPLIED, seen(replace(A, file_sha256="d" * 64)), None) is not None
    assert decide(APPLIED, seen(B), None).stick == B


def test_what_failed_is_tried_again_and_what_was_done_is_not():
    record = Record(applied=mark.applied(A, frozenset({"RESET_SMS"})))
    assert decide(record, seen(A), None) == Apply(A, frozenset({"RESET_WLAN"}), frozenset({"RESET_SMS"}))


def test_a_stick_seen_absent_is_forgotten_and_applied_when_it_is_back():
    forgotten = forget_absent(APPLIED, seen())
    assert forgotten.applied is None
    assert decide(forgotten, seen(A), None) is not None
    assert forget_absent(APPLIED, seen(B)).applied is None


def test_after_a_start_a_stick_that_is_slow_to_show_up_is_not_forgotten():
    assert forget_absent(APPLIED, seen(settled=False)) == APPLIED


@pytest.mark.parametrize("sticks", [(A,), (BAD,), (B, BAD), (replace(A, refusal="cannot be read"),)])
def test_a_stick_that_is_in_or_may_be_is_not_forgotten(sticks):
    assert forget_absent(APPLIED, seen(*sticks)) == APPLIED


def test_a_refusal_is_told_once_and_again_when_the_stick_was_away():
    told = Record(refused=mark.refused(BAD, BAD.refusal))
    assert decide(Record(), seen(BAD, BAD_FILE), None) == Refuse(BAD, BAD.refusal)
    assert decide(told, seen(BAD, BAD_FILE), None) is None
    assert forget_absent(told, seen(BAD, settled=False)) == told
    assert forget_absent(told, seen(settled=False)) == Record()


def test_a_refusal_leaves_the_mark_of_the_applied_stick_alone():
    record = replace(APPLIED, refused=mark.refused(BAD, BAD.refusal))
    assert decide(forget_absent(record, seen(BAD, A)), seen(BAD, A), None) is None


def test_where_a_secret_is_asked_only_a_stick_that_has_it_resets():
    right, wrong = replace(A, secret_sha256=secret_hash("lusab-babad")), replace(B, secret_sha256="e" * 64)
    assert decide(Record(), seen(wrong, B, right), "lusab-babad").stick == right
    assert "is not the set-up secret" in decide(Record(), seen(wrong), "lusab-babad").reason
    assert "no line SECRET" in decide(Record(), seen(B), "lusab-babad").reason
    assert isinstance(decide(Record(), seen(B, wrong, right), ""), Refuse)


def test_a_stick_refused_for_its_secret_is_applied_when_none_is_asked_any_more():
    refusal = decide(Record(), seen(A), "lusab-babad")
    told = Record(refused=mark.refused(refusal.stick, refusal.reason))
    assert decide(told, seen(A), "lusab-babad") is None
    assert decide(told, seen(A), None).stick == A

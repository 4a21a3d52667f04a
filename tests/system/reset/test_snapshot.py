import json

import pytest

from otppi.system.reset.snapshot import LONGEST_BYTES, BadSnapshot, Snapshot, Stick

HASH = "ab" * 32
GOOD = Stick(
    device="sda1",
    filesystem="vfat 1234-ABCD",
    file_sha256=HASH,
    secret_sha256=HASH,
    flags=("RESET_SMS", "RESET_WLAN"),
    unclear=("RESET_API",),
)
REFUSED = Stick.refused("sdb", "the stick is formatted as NTFS")


def document(**changes):
    raw = json.loads(Snapshot(sticks=(GOOD,), is_settled=True).as_json())
    raw["sticks"][0] |= changes
    return json.dumps(raw).encode()


@pytest.mark.parametrize("is_settled", [True, False])
@pytest.mark.parametrize("sticks", [(), (GOOD,), (REFUSED, GOOD)])
def test_it_comes_back_as_it_was(sticks, is_settled):
    snapshot = Snapshot(sticks=sticks, is_settled=is_settled)
    assert Snapshot.parse(snapshot.as_json()) == snapshot


def test_a_reason_is_made_fit_to_be_shown():
    stick = Stick.refused("sda1", "na\u00efve\x1b[2J" + "x" * 1000)
    assert stick.refusal.startswith("na?ve?[2Jxxx")
    assert Snapshot.parse(Snapshot(sticks=(stick,), is_settled=True).as_json()).sticks == (stick,)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xff",
        b"[" * 100_000,
        b" " * (LONGEST_BYTES + 1),
        b'{"version": 1}',
        b'{"version": 2, "settled": true, "sticks": []}',
        b'{"version": 1, "settled": 1, "sticks": []}',
        b'{"version": 1, "settled": true, "sticks": {}}',
        b'{"version": 1, "settled": true, "sticks": [1]}',
        json.dumps({"version": 1, "settled": True, "sticks": [{"device": "sda1"}]}).encode(),
        json.dumps(
            {"version": 1, "settled": True, "sticks": [{"device": "a", "refusal": "x"}] * 17}
        ).encode(),
        document(device="../sda"),
        document(device=""),
        document(device=7),
        document(filesystem="ntfs 1234"),
        document(filesystem=""),
        document(file_sha256="ab"),
        document(file_sha256=""),
        document(flags=[]),
        document(flags="RESET_SMS"),
        document(flags=["../../x"]),
        document(flags=[["RESET_SMS"]]),
        document(flags=[f"RESET_{n}" for n in range(65)]),
        document(unclear=["x"]),
        document(refusal="x" * 301),
        document(refusal="\u001b[2J"),
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(BadSnapshot):
        Snapshot.parse(data)


def test_the_hash_of_a_secret_is_not_in_what_is_printed():
    assert HASH not in repr(Stick(device="sda", secret_sha256=HASH))

"""How tries of codes are counted, over restarts, power cuts and doors."""

import subprocess
import sys
from pathlib import Path

import pytest

from otppi.modems.refused_pins import Code, RefusedPins

_TRIES_OF_A_PROCESS = 50
_PROCESS = f"""
import pathlib, sys
from otppi.modems.refused_pins import Code, RefusedPins
spent = RefusedPins(pathlib.Path(sys.argv[1])).of(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range({_TRIES_OF_A_PROCESS}):
    spent.begin(Code.PIN)
"""
# Bought together.
SIM, OTHER = "89620000000000001234", "89620000000000001235"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "refused-pins.json"


def of(file, modem_id="m0", iccid=SIM):
    """As a process does it that has just started."""
    return RefusedPins(file).of(modem_id, iccid)


def refuse(spent, pin, code=Code.PIN):
    spent.begin(code)
    spent.refuse(code, pin)


def test_after_two_refusals_the_last_try_is_left_to_a_person(file):
    refuse(of(file), "0001")
    assert of(file).may_try(Code.PIN)
    refuse(of(file), "0002")
    assert not of(file).may_try(Code.PIN)
    assert of(file).may_try(Code.PUK)
    assert of(file, iccid=OTHER).may_try(Code.PIN)


def test_half_of_the_tries_of_the_puk_are_left_to_a_person(file):
    for number in range(5):
        assert of(file).may_try(Code.PUK)
        refuse(of(file), f"0000000{number}", Code.PUK)
    assert not of(file).may_try(Code.PUK)
    assert of(file).may_try(Code.PIN)


def test_every_refused_pin_is_known_again_and_none_is_readable(file):
    for pin in ("48151", "62342"):
        refuse(of(file), pin)
    assert of(file).was_refused(Code.PIN, "48151")
    assert of(file).was_refused(Code.PIN, "62342")
    assert not of(file).was_refused(Code.PIN, "48152")
    assert not of(file).was_refused(Code.PUK, "48151")
    assert "48151" not in file.read_text()
    assert "62342" not in file.read_text()


def test_a_try_that_nobody_knows_the_end_of_counts_and_may_be_repeated(file):
    of(file).begin(Code.PIN)  # the power goes
    assert not of(file).was_refused(Code.PIN, "1234")
    refuse(of(file), "1234")
    assert not of(file).may_try(Code.PIN)


def test_what_was_no_try_does_not_count(file):
    refuse(of(file), "0001")
    spent = of(file)
    spent.begin(Code.PIN)
    spent.take_back(Code.PIN)
    assert of(file).may_try(Code.PIN)
    assert of(file).was_refused(Code.PIN, "0001")


@pytest.mark.parametrize(("taken", "forgets_puk"), [(Code.PIN, False), (Code.PUK, True)])
def test_a_sim_that_takes_a_code_forgives(file, taken, forgets_puk):
    refuse(of(file), "0001")
    refuse(of(file), "00000001", Code.PUK)
    refuse(of(file, "m1", OTHER), "0001")
    of(file).forget(taken)
    assert not of(file).was_refused(Code.PIN, "0001")
    assert of(file).was_refused(Code.PUK, "00000001") is not forgets_puk
    assert of(file, "m1", OTHER).was_refused(Code.PIN, "0001")


def test_a_sim_takes_its_tries_along_to_another_modem_and_leaves_none_behind(file):
    refuse(of(file), "0001")
    assert of(file, "m1", SIM).was_refused(Code.PIN, "0001")
    assert not of(file, "m0", OTHER).was_refused(Code.PIN, "0001")
    # Some modems add a check digit, and leave out the filler.
    assert of(file, "m1", SIM[:19]).was_refused(Code.PIN, "0001")


def test_a_sim_that_tells_no_number_is_taken_for_the_one_before(file):
    refuse(of(file), "0001")
    refuse(of(file, iccid=""), "0002")
    assert not of(file, iccid="").may_try(Code.PIN)
    assert not of(file).may_try(Code.PIN)
    assert of(file, "m1", "").may_try(Code.PIN)


def test_a_sim_that_was_locked_and_is_open_was_opened_elsewhere(file):
    refuse(of(file), "0001")
    of(file).seen(is_open=False)
    of(file).seen(is_open=True)
    assert not of(file).was_refused(Code.PIN, "0001")


def test_an_open_sim_that_refused_has_not_forgiven_as_long_as_it_stays_open(file):
    refuse(of(file), "0001")
    of(file).seen(is_open=True)
    assert of(file).was_refused(Code.PIN, "0001")


def test_two_processes_lose_no_try_of_each_other(file):
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, file, modem_id],
            cwd=Path(__file__).parents[2],
            stdin=pipe,
            stdout=pipe,
            text=True,
        )
        for modem_id in ("m0", "m1")
    ]
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        one.communicate(timeout=60)
    assert [one.returncode for one in both] == [0, 0]
    kept = [one.modem_id for one in RefusedPins(file).tries()]
    assert sorted(kept) == ["m0"] * _TRIES_OF_A_PROCESS + ["m1"] * _TRIES_OF_A_PROCESS


def test_a_damaged_file_starts_anew(file, caplog):
    for content in ("{", '{"m0": "scrypt"}', '[{"modem": 1}]'):
        file.write_text(content)
        assert not RefusedPins(file)
    assert len(caplog.records) == 3
    refuse(of(file), "0001")
    assert of(file).was_refused(Code.PIN, "0001")

import pytest

from otppi.sim.at_line import split_arguments, split_line


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("", []),
        ("e0v1", ["E0", "V1"]),
        ("E0+CMEE=1", ["E0", "+CMEE=1"]),
        ("&F;+csq", ["&F", "+CSQ"]),
        ("S0=0&D2", ["S0=0", "&D2"]),
        ("+CNMI=2, 1; +CREG?", ["+CNMI=2,1", "+CREG?"]),
        ('+CUSD=1,"*1;a b#",15;^iccid?', ['+CUSD=1,"*1;a b#",15', "^ICCID?"]),
        ('+CPIN="12', ['+CPIN="12']),
        ("E0?!", ["E0", "?!"]),
    ],
)
def test_splits_a_line(line, commands):
    assert split_line(line) == commands


@pytest.mark.parametrize(
    ("arguments", "values"),
    [("1,2", ["1", "2"]), ('1,"*1,2#",15', ["1", "*1,2#", "15"]), ('"a",,', ["a", "", ""]), ("", [""])],
)
def test_splits_arguments(arguments, values):
    assert split_arguments(arguments) == values

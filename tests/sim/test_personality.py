import pytest

from otppi.sim.personality import (
    PersonalityError,
    load_personality,
    parse_personality,
    personality_names,
)


def test_the_package_brings_one_for_each_family():
    assert {"generic", "huawei", "quectel", "sierra", "sim7600", "simcom", "ublox", "wavecom", "zte"} <= set(
        personality_names()
    )
    for name in personality_names():
        assert load_personality(name).answers["+CGMI"]


def test_reads_every_kind_of_line():
    personality = parse_personality(
        "x",
        "# comment\n\nset unknown NO IDEA\nset lacks_ok at+cpin?\n"
        "set boot_chatter A\nset boot_chatter B\nset submit_s 0.5\n"
        'at+cgmi\tACME\nATI  one\\ntwo  three\nussd *1#  +CUSD: 0,"a\\nb",15\n'
        "ussd *1#>2 after 0.5  +CUSD: 4\nussd *1#>2 after 2  +CUSD: 2\n",
    )
    assert personality.unknown == "NO IDEA"
    assert personality.boot_chatter == ("A", "B")
    assert personality.lacks_ok == {"+CPIN?"}
    assert personality.submit_s == 0.5
    assert personality.answers == {"+CGMI": ("ACME",), "I": ("one", "two  three")}
    assert personality.ussd == {
        "*1#": ((None, '+CUSD: 0,"a\nb",15'),),
        "*1#>2": ((0.5, "+CUSD: 4"), (2.0, "+CUSD: 2")),
    }


@pytest.mark.parametrize(
    "table",
    [
        "AT+CGMI",
        "nonsense  here",
        "set color red",
        "set submit_s soon",
        "AT+CGMI ACME",
        "ussd *1# soon  +CUSD: 4",
    ],
)
def test_rejects_what_it_cannot_read(table):
    with pytest.raises(PersonalityError):
        parse_personality("x", table)


@pytest.mark.parametrize("name", ["nokia", "../modem", ""])
def test_rejects_a_name_that_it_does_not_have(name):
    with pytest.raises(PersonalityError):
        load_personality(name)

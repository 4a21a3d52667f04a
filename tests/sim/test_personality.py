import pytest

from otppi.sim.personality import (
    PersonalityError,
    load_personality,
    parse_personality,
    personality_names,
)


def test_the_package_brings_four_of_them():
    assert personality_names() == ["generic", "huawei", "quectel", "simcom"]
    for name in personality_names():
        assert load_personality(name).answers["+CGMI"]


def test_reads_every_kind_of_line():
    personality = parse_personality(
        "x",
        "# comment\n\nset unknown NO IDEA\nset boot_chatter A\nset boot_chatter B\nset submit_s 0.5\n"
        'at+cgmi\tACME\nATI  one\\ntwo  three\nussd *1#  +CUSD: 0,"a\\nb",15\n',
    )
    assert personality.unknown == "NO IDEA"
    assert personality.boot_chatter == ("A", "B")
    assert personality.submit_s == 0.5
    assert personality.answers == {"+CGMI": ("ACME",), "I": ("one", "two  three")}
    assert personality.ussd == {"*1#": '+CUSD: 0,"a\nb",15'}


@pytest.mark.parametrize(
    "table", ["AT+CGMI", "nonsense  here", "set color red", "set submit_s soon", "AT+CGMI ACME"]
)
def test_rejects_what_it_cannot_read(table):
    with pytest.raises(PersonalityError):
        parse_personality("x", table)


@pytest.mark.parametrize("name", ["nokia", "../modem", ""])
def test_rejects_a_name_that_it_does_not_have(name):
    with pytest.raises(PersonalityError):
        load_personality(name)

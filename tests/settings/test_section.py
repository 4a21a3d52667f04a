import dataclasses

import pytest

from otppi.lib.passwords import verify_password
from otppi.settings.fields import Kind, integer, listing, number, password, retired, secret, text
from otppi.settings.section import Section, shown, values_of


class Sending(Section, key="sending", title="Sending SMS", reset_flag="RESET_SMS"):
    """How messages are sent.

    In short words.
    """

    country_code: str = text(default="62", pattern=r"[1-9]\d{0,2}", help="Put before national numbers.")
    overtake_after_s: float = number(
        default=15, minimum=1, maximum=300, unit="s", help="Silence.", rule="A 1.2"
    )
    least: int = integer(default=1, minimum=0, help="Least.")
    most: int = integer(default=9, minimum=0, help="Most.", title="At most")
    prefix_length: int = retired(help="The longest prefix wins.")

    def check(self) -> dict[str, str]:
        return {"least": "must not be more than most"} if self.least > self.most else {}


class Line(Section, key="lines", title="Lines", many=True):
    """Lines."""

    name: str = text(help="Name.")
    prefixes: tuple[str, ...] = listing(default=(), item_pattern=r"\d{1,15}", help="Prefixes.")
    sim_pin: str = secret(default="", pattern=r"(\d{4,8})?", help="PIN.")
    password: str = password(help="Password.")


def test_the_declaration_is_on_the_class():
    assert (Sending.key, Sending.title, Sending.reset_flag, Sending.many) == (
        "sending",
        "Sending SMS",
        "RESET_SMS",
        False,
    )
    assert Sending.description == "How messages are sent.\n\nIn short words."
    assert (Line.reset_flag, Line.many) == ("", True)


def test_a_section_is_made_of_its_defaults_and_of_trusted_values():
    assert Sending().country_code == "62"
    assert Sending(country_code="65").country_code == "65"
    assert Sending(country_code="65") != Sending()


def test_a_section_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sending().country_code = "65"


def test_nothing_raw_gives_the_factory_value():
    assert Sending.parse({}) == (Sending(), {})


def test_raw_values_are_read():
    raw = {"country_code": 65, "overtake_after_s": "2.5", "least": "2"}
    assert Sending.parse(raw) == (Sending(country_code="65", overtake_after_s=2.5, least=2), {})


def test_all_mistakes_come_at_once():
    section, errors = Sending.parse(
        {"country_code": "x", "overtake_after_s": 0, "contry_code": "62", "most": "a"}
    )
    assert section is None
    assert errors.keys() == {"country_code", "overtake_after_s", "contry_code", "most"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("contry_code", "; did you mean country_code?"),
        ("COUNTRY_CODE", "; did you mean country_code?"),
        ("xyz", ""),
    ],
)
def test_a_misspelt_name_gets_a_hint(name, hint):
    assert Sending.parse({name: "62"})[1] == {name: f"there is no such setting{hint}"}


def test_what_has_no_default_is_required():
    _, errors = Line.parse({})
    assert errors == {"name": "is required", "password": "is required"}


def test_a_bad_value_is_not_called_missing():
    assert Line.parse({"name": "a", "password": "short"})[1] == {
        "password": "must have at least 8 characters"
    }


def test_a_retired_setting_is_read_and_ignored():
    section, errors = Sending.parse({"prefix_length": "whatever"})
    assert (section, errors) == (Sending(), {})
    assert "prefix_length" not in values_of(section)
    assert "prefix_length" not in {setting.name for setting in Sending.describe()}
    with pytest.raises(TypeError):
        Sending(prefix_length=5)


def test_settings_are_also_checked_against_each_other():
    assert Sending.parse({"least": 10}) == (None, {"least": "must not be more than most"})
    # Not before each is fine by itself.
    assert Sending.parse({"least": 10, "country_code": "x"})[1].keys() == {"country_code"}


def test_no_secret_is_in_a_repr_or_shown():
    line, _ = Line.parse({"name": "a", "sim_pin": "4711", "password": "correct horse"})
    assert line.sim_pin == "4711"
    assert verify_password("correct horse", line.password)
    for text_of in (repr(line), str(line), str(shown(line))):
        assert "4711" not in text_of
        assert "correct horse" not in text_of
        assert line.password not in text_of
    assert shown(line) == {"name": "a", "prefixes": [], "sim_pin": True, "password": True}
    assert shown(Line(name="b", password=""))["sim_pin"] is False


def test_a_description_has_what_forms_and_documents_need():
    by_name = {setting.name: setting for setting in Sending.describe()}
    assert list(by_name) == ["country_code", "overtake_after_s", "least", "most"]
    silence = by_name["overtake_after_s"]
    assert (silence.kind, silence.title, silence.help, silence.default, silence.unit, silence.rule) == (
        Kind.NUMBER,
        "Overtake after",
        "Silence.",
        15.0,
        "s",
        "A 1.2",
    )
    assert by_name["most"].title == "At most"
    assert by_name["country_code"].pattern == r"[1-9]\d{0,2}"
    pin = next(setting for setting in Line.describe() if setting.name == "sim_pin")
    assert pin.is_secret


def test_a_default_that_breaks_its_own_rule_is_a_mistake_of_the_programmer():
    with pytest.raises(TypeError, match=r"wrong\.code"):

        class Wrong(Section, key="wrong", title="Wrong"):
            code: str = text(default="x", pattern=r"\d", help="x")


def test_a_section_that_exists_once_needs_factory_values():
    with pytest.raises(TypeError, match="factory value"):

        class Wrong(Section, key="wrong", title="Wrong"):
            code: str = text(help="x")


def test_a_plain_attribute_is_not_a_setting():
    with pytest.raises(TypeError, match="declare it"):

        class Wrong(Section, key="wrong", title="Wrong"):
            code: str = "x"


def test_a_setting_cannot_take_a_name_of_the_section_itself():
    with pytest.raises(TypeError, match="title"):

        class Wrong(Section, key="wrong", title="Wrong"):
            title: str = text(default="", help="x")


def test_a_key_must_do_as_the_name_of_a_file():
    with pytest.raises(TypeError, match="name of a file"):

        class Wrong(Section, key="../wrong", title="Wrong"):
            pass

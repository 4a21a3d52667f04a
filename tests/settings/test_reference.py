from otppi.settings.fields import boolean, choice, integer, listing, number, retired, secret, text
from otppi.settings.reference import settings_table
from otppi.settings.section import Section


class Sms(Section, key="sms", title="Sending SMS", reset_flag="RESET_SMS"):
    """How messages
    are sent.
    """

    code: str = text(default="62", pattern=r"62|65", help="Code.")
    wait_s: float = number(default=15, minimum=1, maximum=300, unit="s", help="Wait.", rule="A 1.2")
    ratio: float = number(default=0.5, help="Ratio.")
    gone: int = retired(help="Gone.")


class Modems(Section, key="modems", title="Modems", many=True):
    """Modems."""

    name: str = text(help="Name.")
    prefixes: tuple[str, ...] = listing(default=(), help="Prefixes.")
    pin: str = secret(default="", help="PIN.")
    on: bool = boolean(default=True, help="On.")
    parity: str = choice(("N", "E"), default="N", help="a | b.")
    rate: int = integer(default=115200, minimum=300, help="Rate.")


def test_the_table_has_every_setting_and_its_limits():
    assert settings_table([Sms, Modems]) == "\n".join(
        [
            "### Sending SMS (`sms`)",
            "",
            "How messages are sent. `RESET_SMS` in `reset-config.ini` resets it.",
            "",
            "| Setting | Default | Limits | Meaning |",
            "| --- | --- | --- | --- |",
            r"| `sms.code` | `62` | `62\|65` | Code. |",
            "| `sms.wait_s` | `15` | 1 to 300 s | Wait. Rule: A 1.2. |",
            "| `sms.ratio` | `0.5` |  | Ratio. |",
            "",
            "### Modems (`modems`)",
            "",
            "Modems.",
            "",
            "| Setting | Default | Limits | Meaning |",
            "| --- | --- | --- | --- |",
            "| `modems.ID.name` | required |  | Name. |",
            "| `modems.ID.prefixes` | none |  | Prefixes. |",
            "| `modems.ID.pin` | empty |  | PIN. |",
            "| `modems.ID.on` | `true` | true or false | On. |",
            r"| `modems.ID.parity` | `N` | N, E | a \| b. |",
            "| `modems.ID.rate` | `115200` | at least 300 | Rate. |",
            "",
        ]
    )

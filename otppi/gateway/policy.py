"""The rules of sending that an owner may set."""

from otppi.settings.fields import boolean, integer, number, retired, text
from otppi.settings.section import Section

IMEI_WARNING = (
    "The law of many countries forbids to change the IMEI of a device, and punishes it. It is for putting back the "
    "modem's own number, as printed on it, after a repair."
)


class GeneralSettings(Section, key="general", title="General"):
    """The device as a whole."""

    device_name: str = text(
        default="OTP-Pi", pattern=r"\S(.{0,38}\S)?", shape="1 to 40 characters", help="Name shown on pages."
    )
    drop_expired: bool = boolean(
        title="Drop expired messages",
        default=True,
        help="Do not send a message whose life is over; off, late messages of send-* commands still go out.",
    )
    currency: str = text(
        default="IDR",
        pattern=r"[A-Z]{3}",
        shape="the three letters of a currency, such as IDR",
        help="What the prices of modems are in; it only shows.",
    )
    modems_inspect_s: float = number(
        title="Look for modems every",
        default=30,
        minimum=0,
        maximum=3_600,
        unit="s",
        help="How often a device looks which modems are plugged in, besides when something comes or goes; 0 is never.",
    )
    modems_auto_add: bool = boolean(
        title="Use new modems at once",
        default=False,
        help="A new modem that a device finds is added and used; off, it waits until its owner takes it into use.",
    )
    imei_writing: bool = boolean(
        default=False,
        help=f"Whether the IMEI of a modem may be written. {IMEI_WARNING}",
        title="Allow writing an IMEI",
    )
    expiration_offset_ms: int = integer(
        title="Life of messages that name no end",
        default=300_000,
        minimum=1_000,
        maximum=86_400_000,
        unit="ms",
        help="Life of a message that has a date_time and no expiration. The 30 s of the old product would end "
        "a message before another modem can take over.",
    )


class SmsSettings(Section, key="sms", title="Sending SMS", reset_flag="RESET_SMS"):
    """How the gateway sends text messages."""

    country_code: str = text(
        default="62",
        pattern=r"[1-9][0-9]{0,2}",
        shape="a country code, such as 62",
        help="Country code put before national numbers (0812…).",
    )
    max_parts: int = integer(
        title="Most parts of a message",
        default=8,
        minimum=1,
        maximum=255,
        help="A text that needs more parts than this is refused.",
    )
    time_critical_life_s: float = number(
        title="Life of time-critical messages",
        default=600,
        minimum=0,
        maximum=86_400,
        unit="s",
        help="Messages that live at most so long overtake others and are tried at another modem when one does "
        "not answer; every one-time password is such a message.",
    )
    overtake_after_s: float = number(
        title="Try another modem after",
        default=15,
        minimum=1,
        maximum=120,
        unit="s",
        help="How long a modem may be silent before a time-critical message also goes out through another.",
    )
    answer_limit_s: float = number(
        title="Wait for a modem at most",
        default=60,
        minimum=5,
        maximum=180,
        unit="s",
        help="How long a modem may take to answer a message before its outcome is unknown.",
    )
    longest_wait_s: float = number(
        title="Callers wait at most",
        default=60,
        minimum=1,
        maximum=300,
        unit="s",
        help="How long a caller waits for the outcome at most.",
    )
    ussd_timeout_s: float = number(
        title="Wait for USSD at most",
        default=30,
        minimum=5,
        maximum=120,
        unit="s",
        help="How long the network may take to answer USSD.",
    )
    ussd_session_s: float = number(
        title="A USSD menu waits",
        default=120,
        minimum=1,
        maximum=600,
        unit="s",
        help="How long a USSD menu waits for a reply before it is cancelled; networks often end it earlier.",
    )
    reserve_for_codes_percent: int = integer(
        title="Reserved for codes",
        default=10,
        minimum=0,
        maximum=90,
        unit="%",
        help="Share of each quota of a SIM that only time-critical messages may use, so that others never use up "
        "what one-time passwords need.",
    )
    recipient_prefix_length: int = retired(help="The longest prefix wins, whatever its length.")

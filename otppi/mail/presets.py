"""Servers that many people have an account at, as their owners publish them; the rest of a form keeps its defaults."""

from dataclasses import dataclass

from otppi.mail.settings import SSL, STARTTLS


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What is filled in for an account at a known server; it always wants a name and a password."""

    id: str
    name: str
    host: str
    port: int
    security: str
    advice: str


_GMAIL_ADVICE = (
    "Gmail takes no account password here, but an app password. It is made in the Google account under Security, "
    "2-Step Verification."
)
_ZOHO_ADVICE = (
    "With two-factor authentication Zoho wants an application-specific password. Accounts outside of the United "
    "States have a server of their region, such as smtp.zoho.eu or smtp.zoho.in."
)

PRESETS: tuple[Preset, ...] = (
    Preset(
        id="gmail-587",
        name="Gmail, port 587",
        host="smtp.gmail.com",
        port=587,
        security=STARTTLS,
        advice=_GMAIL_ADVICE,
    ),
    Preset(
        id="gmail-465",
        name="Gmail, port 465",
        host="smtp.gmail.com",
        port=465,
        security=SSL,
        advice=_GMAIL_ADVICE,
    ),
    Preset(id="zoho", name="Zoho Mail", host="smtp.zoho.com", port=465, security=SSL, advice=_ZOHO_ADVICE),
)

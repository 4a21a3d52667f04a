"""The text that carries a code, and the last line by which browsers and apps read it."""

import re

from otppi.model.errors import BadRequest

# A doubled percent sign is one in the text; any other lone one stays as it is, as in "50% off".
_MARKS = re.compile(r"%%|%s|%1\$s")
_PLACES = ("%s", "%1$s")
# RFC 1123, 2.1: letters, digits and inner hyphens; 63 characters a label, 253 a name.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}|localhost")
_LONGEST_HOST = 253
_APP_HASH = re.compile(r"[A-Za-z0-9+/]{11}")


def check_template(template: str) -> None:
    """Accept a text with exactly one place for the code, `%s` or `%1$s`.

    Raises:
        BadRequest: There is no place or more than one; two could not be told from a mistake.
    """
    places = sum(mark in _PLACES for mark in _MARKS.findall(template))
    if places != 1:
        raise BadRequest("data.message", f"needs exactly one %s, where the code goes; it has {places}")


def check_web_host(web_host: str) -> None:
    """Accept a host name as origin-bound codes have it: no scheme, port or path; other alphabets as punycode.

    Raises:
        BadRequest: It is something else.
    """
    if len(web_host) > _LONGEST_HOST or not web_host.isascii() or not _HOST.fullmatch(web_host.lower()):
        raise BadRequest(
            "data.web_host", "is not a host name such as example.com (no https://, port or path)"
        )


def check_app_hash(app_hash: str) -> None:
    """Accept the hash by which the Android SMS Retriever finds the app.

    Raises:
        BadRequest: It is something else.
    """
    if not _APP_HASH.fullmatch(app_hash):
        raise BadRequest("data.app_hash", "must be 11 characters of A-Z, a-z, 0-9, + and /")


def fill(template: str, code: str, web_host: str = "", app_hash: str = "") -> str:
    """Return the text with its code, ready to send; all arguments have passed their checks.

    The line for browsers (`@host #code`) must be the last, and the hash for Android the end of the text.
    Browsers ignore what follows the code, so both fit in one line.
    """
    text = _MARKS.sub(lambda mark: "%" if mark[0] == "%%" else code, template)
    words = [f"@{web_host.lower()} #{code}"] if web_host else []
    words += [app_hash] if app_hash else []
    return "\n".join([text, " ".join(words)] if words else [text])

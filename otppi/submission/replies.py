"""What a client is told: replies of SMTP with their enhanced codes (RFC 5321, 4.2; RFC 3463).

After 4xx a client keeps the message and tries again, after 5xx it gives up and tells its own sender.
"""

import math
import re
from typing import Final

from otppi.contracts.mail import MailRefused
from otppi.model.errors import BadRequest, OtpPiError, OutcomeUnknown

AUTH_FIRST: Final = "530 5.7.0 Authentication required"
BAD_ADDRESS: Final = "553 5.1.3 this is not an e-mail address that is served here"
BARE_LINE_END: Final = "550 5.5.2 lines must end with CR LF, both of them and nothing else (RFC 5321, 2.3.8)"
AUTH_TOO_LONG: Final = "500 5.5.6 the line is too long"  # RFC 4954, 4
BUSY: Final = "451 4.3.2 too many messages are in hand, try again in a moment"
FAULT: Final = "451 4.3.0 a fault of this server, try again later"
FULL: Final = "421 4.3.2 too many connections, try again in a moment"
GOODBYE: Final = "421 4.3.2 the server stops, try again in a moment"
LINE_TOO_LONG: Final = "554 5.6.0 a line is longer than 1000 octets (RFC 5321, 4.5.3.1.6)"
LOGIN_OVER: Final = "421 4.7.0 the account was switched off or has another password, log in again"
LOGIN_TOO_LATE: Final = "421 4.7.0 log in sooner"
NO_VRFY: Final = "502 5.5.1 addresses are told to nobody"
ONE_RECEIVER: Final = "452 4.5.3 one receiver at a time"
SILENT: Final = "421 4.4.2 nothing came for too long"
TLS_IS_ON: Final = "503 5.5.1 TLS is on already"
TOO_LARGE: Final = "552 5.3.4 the message is too large"
WRONG_TOO_OFTEN: Final = "421 4.7.0 too many wrong logins"

_LONGEST_TEXT = 450  # RFC 5321, 4.5.3.1.5: 512 octets with all that is around it
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+")


def handed_on(message_id: str) -> str:
    """Say that the next server has the message."""
    return f"250 2.0.0 handed on as {message_id}"


def not_handed_on(error: OtpPiError) -> str:
    """Say what came of a message that was not, or not surely, handed on.

    Whatever surely did not leave and may leave later is for the client to keep (4xx): no account, a quota, a server
    that is away. An unknown outcome is 5xx, as the REST API's is a 409: a repeat by the client would be a second copy
    by accident, while giving up tells the sender, who can ask the receiver. So nothing is lost without a word, and
    nothing is sent twice.
    """
    match error:
        case OutcomeUnknown():
            text = f"it may have been sent, so do not repeat it by yourself: {error}"
            return _reply("554 5.4.2", text)
        case MailRefused() | BadRequest():
            return _reply("554 5.0.0", str(error))
        case _:
            return _reply("451 4.0.0", f"{error}{_wait(error.retry_after_s)}")


def too_often(wait_s: float) -> str:
    """Say that a user sends more than the settings allow."""
    return f"451 4.7.1 too many messages from this user{_wait(wait_s)}"


def too_many_guesses(error: OtpPiError) -> str:
    """Say that nobody looks at a password now (RFC 4954, 4.7.6 and 6)."""
    return _reply("454 4.7.0", f"{error}{_wait(error.retry_after_s)}")


def _wait(seconds: float | None) -> str:
    return f", try again in {math.ceil(seconds)} s" if seconds else ""


def _reply(code: str, text: str) -> str:
    """Make one line of whatever other servers said."""
    return f"{code} {_NOT_PRINTABLE.sub(' ', text).strip()[:_LONGEST_TEXT]}"

"""An e-mail that came, and what a person sees of it, whatever wrote it."""

from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import Message
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class EmailParts:
    """What is in an e-mail; None is a part that it does not have."""

    head: str = field(repr=False)  # every header field as it was sent
    subject: str = field(repr=False)
    plain: str | None = field(repr=False)
    html: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class DeliveredEmail:
    """One that came for one receiver."""

    id: int
    at: datetime
    path: Path
    receiver: str = field(repr=False)
    subject: str = field(repr=False)

    def parts(self) -> EmailParts:
        """Read it.

        Raises:
            OSError: Its file is gone.
        """
        return parts_of(self.path.read_bytes())


def parts_of(content: bytes) -> EmailParts:
    """Take an e-mail apart (RFC 5322, RFC 2045)."""
    # The newer policy fails over some contents that the older one reads, and only the newer one decodes a subject.
    message = message_from_bytes(content, policy=policy.compat32)
    subject = next((value for name, value in message.raw_items() if name.lower() == "subject"), "")
    head = content.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return EmailParts(
        head=head.decode("utf-8", errors="replace"),
        subject=" ".join(str(policy.default.header_fetch_parse("Subject", subject)).split()),
        plain=_text(message, "text/plain"),
        html=_text(message, "text/html"),
    )


def _text(message: Message, kind: str) -> str | None:
    for part in message.walk():
        if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
            return _decoded(part)
    return None


def _decoded(part: Message) -> str:
    content = part.get_payload(decode=True)
    octets = content if isinstance(content, bytes) else b""
    try:
        text = octets.decode(part.get_content_charset("utf-8"), errors="replace")
    except (LookupError, ValueError):  # a charset that nobody knows
        text = octets.decode("utf-8", errors="replace")
    return text.replace("\r\n", "\n")

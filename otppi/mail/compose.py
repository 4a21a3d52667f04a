"""What is sent: an e-mail made of what a caller wrote, or one of an application made fit for an account.

Pure: the same is made of the same, and nothing is asked of the world.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from types import MappingProxyType

from otppi.contracts.mail import MailRefused, OutgoingMail, Relayed, Written
from otppi.mail.settings import EmailAccountSettings

_LONGEST_LINE = 998  # RFC 5322, 2.1.1
_LONGEST_PLAIN = 65  # of a subject or name, so that no line of it is longer than the 78 letters of RFC 5322
# Names of elements, so that "<name>" in a plain text is none.
_ELEMENTS = (
    "a|b|big|blockquote|body|br|center|code|div|em|font|h[1-6]|head|hr|html|i|img|li|meta|ol|p|pre|small|span|strong|"
    "style|sub|sup|table|tbody|td|th|thead|title|tr|u|ul"
)
_TAG = re.compile(rf"<(?:!doctype\b|/?(?:{_ELEMENTS})(?:\s[^<>]*)?/?>)", re.IGNORECASE)
# All that a browser does not show. Nothing here is tried twice from the same place, however odd the text is.
_MARK = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?P<unseen>script|style|title)\b[^<>]*>.*?(?:</(?P=unseen)\b[^<>]*>|\Z)"
    r"|<(?P<name>/?[a-z][a-z0-9]*+)(?P<rest>[^<>]*)>|<[!?][^<>]*>",
    re.IGNORECASE,
)
_LINK = re.compile(r""" href ?= ?("[^"]*"|'[^']*'|[^ "']+)""", re.IGNORECASE)
# With its end, so that "&copy=" in a link is none; of longer numbers there are no letters.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_EDGE = "\f"  # ends the line, if there is anything in it; a page has no other after its blanks were made one
_LINES = ("blockquote", "center", "div", "hr", "ol", "pre", "table", "tr", "ul")
_PARAGRAPHS = ("p", "h1", "h2", "h3", "h4", "h5", "h6")
# What stands for a tag in a text; nothing for others.
_INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        **{slash + name: _EDGE for name in _LINES for slash in ("", "/")},
        **{slash + name: "\n\n" for name in _PARAGRAPHS for slash in ("", "/")},
        **{"br": "\n", "li": f"{_EDGE}- ", "/li": _EDGE, "/td": " ", "/th": " "},
    }
)

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_OVERLONG = re.compile(rb"[^\r\n]{%d}" % (_LONGEST_LINE + 1))
_LATER_OVERLONG = re.compile(rb"\n" + _OVERLONG.pattern)  # begins with a fixed byte, so it is found quickly
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_NAMED_ADDRESS = re.compile(rb"(.*?)<[^<>]*>\s*", re.DOTALL)
# What has another value here, what receivers are not to see, and a signature that no longer fits.
_UNSEEN = frozenset({b"bcc", b"resent-bcc"})
_REPLACED = _UNSEEN | {b"from", b"sender", b"dkim-signature"}


def composed(
    mail: OutgoingMail, account: EmailAccountSettings, *, sender_name: str, subject: str, at: datetime
) -> bytes:
    """Return an e-mail as it goes to the server of an account.

    Args:
        mail: What a caller wrote, or an application's message.
        account: Whose address it comes from.
        sender_name: What receivers see before the address; an application's message keeps its own.
        subject: For one that brings none.
        at: When it is sent, with its zone.

    Raises:
        MailRefused: An application's message is none that servers take.
    """
    if isinstance(mail.body, Relayed):
        return _relayed(mail.body, mail.message_id, account, at)
    return _written(mail.body, mail, account, sender_name, subject, at)


def completed(mail: Relayed, message_id: str, domain: str, at: datetime) -> bytes:
    """Return an application's message as it goes straight to the server of its receiver (RFC 6409, 8).

    Args:
        mail: What the application handed over.
        message_id: For one that brings none,
        domain: and who made it.
        at: When it is sent, with its zone.

    Raises:
        MailRefused: It is none that servers take.
    """
    fields, text = _taken_apart(mail)
    lines = [line for name, line in fields if name not in _UNSEEN]
    return b"\r\n".join([*lines, *_missing(fields, message_id, domain, at), b"", text])


def mended(content: bytes) -> bytes:
    """Return a message of an application with every line ended by CR LF, so that all servers see the same lines.

    Raises:
        MailRefused: A line is longer than servers take.
    """
    # Never a list of the lines: of short ones it takes thirty times the memory of the message.
    if _BARE_LINE_END.search(content):
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    if _OVERLONG.match(content) or _LATER_OVERLONG.search(content):
        raise MailRefused(f"a line of the message is longer than {_LONGEST_LINE} bytes")
    return content if not content or content.endswith(b"\r\n") else content + b"\r\n"


def _written(
    body: Written,
    mail: OutgoingMail,
    account: EmailAccountSettings,
    sender_name: str,
    subject: str,
    at: datetime,
) -> bytes:
    head = [
        _id_line(mail.message_id, account.domain),
        _date_line(at),
        _from_line(account.sender_address, _one_line(sender_name)),
        f"To: <{mail.address}>",
        _subject_line(_one_line(body.subject) or _one_line(subject)),
        "Auto-Submitted: auto-generated",  # RFC 3834: nobody's absence is told to a device
    ]
    text = _encodable(body.text)
    is_html = bool(_TAG.search(text))
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message.set_content(_plain(text) if is_html else text)
    message.add_alternative(text if is_html else _page(text), subtype="html")
    message.set_boundary(f"={mail.message_id}")  # which nobody who writes a text can know
    return "\r\n".join([*head, ""]).encode(errors="replace") + bytes(message)


def _id_line(message_id: str, domain: str) -> str:
    return f"Message-ID: <{message_id}@{domain}>"


def _date_line(at: datetime) -> str:
    return f"Date: {format_datetime(at)}"


# The email package loses blanks when it folds text of other letters, and folds what may not be folded; its older
# `Header` does not.
def _from_line(address: str, name: str) -> str:
    if _needs_words(name):
        name = _words(name, "From")
    elif name:
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"From: {name} <{address}>" if name else f"From: <{address}>"


def _subject_line(subject: str) -> str:
    return f"Subject: {_words(subject, 'Subject') if _needs_words(subject) else subject}"


def _needs_words(text: str) -> bool:
    return not text.isascii() or len(text) > _LONGEST_PLAIN or "=?" in text


def _words(text: str, field: str) -> str:
    """Return a text in encoded words (RFC 2047)."""
    return Header(text, "utf-8", header_name=field).encode(linesep="\r\n")


def _one_line(text: str) -> str:
    """Return a text that cannot begin another line of a header."""
    return " ".join("".join(one if one.isprintable() else " " for one in _encodable(text)).split())


def _encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can bring."""
    return text.encode(errors="replace").decode()


def _page(text: str) -> str:
    lines = html.escape(text, quote=False).splitlines()
    return "<!DOCTYPE html>\n<html><body>\n" + "<br>\n".join(lines) + "\n</body></html>\n"


def _plain(page: str) -> str:
    """Return what a person reads of a page who has no browser.

    Any text may be given for a page, by whoever may send; so this never fails, and takes no longer than its length asks
    for.
    """
    page = " ".join(page.split())
    parts, link, read_to = [], "", 0
    for mark in _MARK.finditer(page):
        parts.append(page[read_to : mark.start()])
        read_to = mark.end()
        name = (mark["name"] or "").lower()
        if name == "a":
            found = _LINK.search(mark["rest"])
            link = found[1].strip("\"'") if found else ""
        elif name == "/a" and link:
            if not parts[-1].endswith(link):
                parts.append(f" ({link})")
            link = ""
        else:
            parts.append(_INSTEAD.get(name, ""))
    parts.append(page[read_to:])
    lines: list[str] = []
    for piece in "".join(parts).split("\n"):
        filled = (" ".join(_decoded(line).split()) for line in piece.split(_EDGE))
        lines += [line for line in filled if line] or [""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _decoded(text: str) -> str:
    """Return a text with the letters that its entities stand for."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text)


def _relayed(body: Relayed, message_id: str, account: EmailAccountSettings, at: datetime) -> bytes:
    fields, text = _taken_apart(body)
    names = {name for name, _ in fields}
    sender = next((line.partition(b":")[2] for name, line in fields if name == b"from"), b"")
    lines = [b"From:" + _name(sender) + f" <{account.sender_address}>".encode()]
    if b"reply-to" not in names and _addresses(sender) not in ([], [account.sender_address]):
        lines.append(b"Reply-To:" + sender)
    lines += _missing(fields, message_id, account.domain, at)
    lines += [line for name, line in fields if name not in _REPLACED]
    return b"\r\n".join([*lines, b"", text])


def _taken_apart(mail: Relayed) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the fields of the header and the text."""
    # A message may have no header, and then begins with the empty line.
    head, _, text = (b"\r\n" + mended(mail.content)).partition(b"\r\n\r\n")
    return list(_fields(head)), text


def _missing(
    fields: Sequence[tuple[bytes, bytes]], message_id: str, domain: str, at: datetime
) -> Iterator[bytes]:
    """Yield the lines that every message has."""
    names = {name for name, _ in fields}
    if b"message-id" not in names:
        yield _id_line(message_id, domain).encode()
    if b"date" not in names:
        yield _date_line(at).encode()


def _fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the fields of a header: their names in small letters, and all of them as they are."""
    # A line that begins with a blank goes on with the one before.
    for line in filter(None, re.split(rb"\r\n(?![ \t])", head)):
        if not (found := _FIELD.match(line)):
            raise MailRefused("a line of the message's header is none")
        yield found[1].lower(), line


def _name(sender: bytes) -> bytes:
    """Return the name before the one address of a From field, as it is there; empty for none."""
    found = _NAMED_ADDRESS.fullmatch(sender)
    return found[1].rstrip() if found and len(_addresses(sender)) == 1 else b""


def _addresses(sender: bytes) -> list[str]:
    pairs = getaddresses([sender.decode("utf-8", "replace")])
    return [address for _, address in pairs if "@" in address]

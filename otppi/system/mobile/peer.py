"""The texts that pppd and chat are given. Both read them as root, so nothing in them may become an instruction."""

import re
from pathlib import Path

from otppi.model.mobile import MobileLink

CHAT = "/usr/sbin/chat"
_NO_SCRIPT = "/bin/true"
# NetworkManager gives Ethernet 100 and Wi-Fi 600: whatever else is connected is taken first.
_ROUTE_METRIC = 700
# The first has to be longer than the silence around the escape: chat is confused by a limit that ends while it sends.
_WAKE_LIMIT_S, _ANSWER_LIMIT_S, _CONNECT_LIMIT_S = 3, 10, 60
_DEVICE = re.compile(r"/dev/[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)*")
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")
# What would end a quoted word of pppd or chat, or mean something within one.
_NOT_IN_OPTIONS = frozenset("\"'\\")
_NOT_IN_CHAT = frozenset("'\\^")
_LONGEST = 200  # far below the limit of a word of pppd and of a line of chat, which is 1023
# Some operators ask for a name and take any; without a password of its own pppd would not answer them.
_ANY = "internet"
_FAILURES = ("BUSY", "NO CARRIER", "NO DIALTONE", "NO DIAL TONE", "NO ANSWER", "DELAYED", "ERROR")


class BadLink(ValueError):
    """A value cannot be given to a program that runs as root; the message does not repeat it."""


def options(link: MobileLink, chat_script: Path) -> str:
    """Return the options of pppd.

    Args:
        link: What to dial. Its password is in the text, so the file is for root alone.
        chat_script: Where the text of `chat` is.

    Raises:
        BadLink: A value could be taken for something else.
    """
    lines = [
        _device(link.device),
        str(link.baud_rate),
        f'connect "{CHAT} -f {_path(chat_script)}"',
        "nodetach",
        "nolog",  # to syslog alone: standard output is in the journal already
        "lock",
        "modem",
        "crtscts",
        # The peer is the modem itself or the operator behind it, and neither has anything to prove it by.
        "noauth",
        f"user {_quoted(link.username or _ANY)}",
        f"password {_quoted(link.password or _ANY)}",
        "hide-password",
        # Whoever started us dials again, with a growing pause and the reason of the failure in its hands.
        "nopersist",
        "noipdefault",
        "ipcp-accept-local",
        "ipcp-accept-remote",
        "noipv6",
        "novj",
        "noccp",
        "unit 0",
        "defaultroute",
        f"defaultroute-metric {_ROUTE_METRIC}",
        "lcp-echo-interval 30",
        "lcp-echo-failure 4",
        "lcp-echo-adaptive",
        "ipparam otppi",
        # Written into a file, for the gateway to read. No script runs: Debian's would overwrite the name servers of
        # a better connection.
        "usepeerdns",
        f"ip-up-script {_NO_SCRIPT}",
        f"ip-down-script {_NO_SCRIPT}",
    ]
    return "\n".join(lines) + "\n"


def chat(link: MobileLink) -> str:
    """Return the conversation with the modem up to CONNECT.

    Raises:
        BadLink: A value could be taken for something else.
    """
    commands = list(link.init_commands)
    if link.apn and link.is_gsm:
        # 3GPP TS 27.007, 10.1.1: context 1, the one that *99# means.
        commands.append(f'AT+CGDCONT=1,"IP","{_without(link.apn, frozenset(chr(34)))}"')
    lines = [
        f"TIMEOUT {_WAKE_LIMIT_S}",
        "'' 'AT'",
        # A modem that still holds an old connection hears nothing but this, with silence around it.
        r"'OK-AT-OK-\d+++\d\c-OK' 'ATH'",
        f"TIMEOUT {_ANSWER_LIMIT_S}",
        "OK 'ATE0'",
        *(f"ABORT '{failure}'" for failure in _FAILURES),
        *(f"OK {_sent(command)}" for command in commands),
        f"OK {_sent(link.dial_command + link.dial_number)}",
        f"TIMEOUT {_CONNECT_LIMIT_S}",
        "CONNECT",
    ]
    return "\n".join(lines) + "\n"


def _device(device: str) -> str:
    if not _DEVICE.fullmatch(device) or ".." in device:
        raise BadLink("the port is no device below /dev")
    return device


def _path(path: Path) -> str:
    if not _PATH.fullmatch(str(path)):
        raise BadLink("a path of the device itself has characters that cannot be quoted")
    return str(path)


def _quoted(value: str) -> str:
    return f'"{_without(value, _NOT_IN_OPTIONS)}"'


def _sent(command: str) -> str:
    if not command.startswith("AT"):
        raise BadLink("only AT commands are given to a modem")
    return f"'{_without(command, _NOT_IN_CHAT)}'"


def _without(value: str, forbidden: frozenset[str]) -> str:
    if not (value.isascii() and value.isprintable()) or forbidden & set(value) or len(value) > _LONGEST:
        raise BadLink("a value has characters that cannot be quoted")
    return value

"""Loads rules with the save and restore commands of iptables and ip6tables."""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from otppi.model.errors import HostError, HostUnreachable
from otppi.system.firewall.restore import own_rules, restore_text
from otppi.system.firewall.ruleset import Family, Rules

log = logging.getLogger(__name__)

# One call takes some 20 ms, a second on a slow board that still looks for kernel modules.
_LIMIT_S = 20.0
_LOCK_WAIT_S = 5  # legacy iptables has a lock, nftables needs none
_COMMANDS: Mapping[Family, str] = {4: "iptables", 6: "ip6tables"}
_IPV6 = Path("/proc/self/net/if_inet6")
_LINE = re.compile(r"\bline:? (\d+)")


class FirewallRefused(HostError):
    """The rules were refused; `line` is the offending one, or empty where that is not known."""

    def __init__(self, family: Family, reason: str, line: str = "") -> None:
        super().__init__(f"IPv{family}: {reason}" + (f": {line}" if line else ""))
        self.family = family
        self.line = line


def has_ipv6() -> bool:
    """Say whether the kernel speaks IPv6; what it does not speak needs no rules."""
    return _IPV6.exists()


def is_available(family: Family) -> bool:
    """Say whether the commands of a family are there."""
    return _program(family, "restore") is not None and _program(family, "save") is not None


def present(family: Family) -> str:
    """Return all rules of a family that are in force, as the save command prints them.

    Raises:
        HostError: They cannot be asked for.
    """
    return _run(family, "save", ())


def load(wanted: Mapping[Family, Rules]) -> None:
    """Put these rules in force, each family at once; the rules of others are not touched. Waits.

    Both families are tried before the first is loaded. If one is refused all the same, our chains of both are again
    what they were.

    Raises:
        FirewallRefused: A rule was refused.
        HostUnreachable: The commands are missing, or do not end.
    """
    before = {family: present(family) for family in wanted}
    texts = {family: restore_text(rules, before[family]) for family, rules in wanted.items()}
    for family, text in texts.items():
        _restore(family, text, "--test")
    touched: list[Family] = []
    for family, text in texts.items():
        touched.append(family)
        try:
            _restore(family, text)
        except HostError:
            for one in touched:
                _put_back(one, before[one])
            raise


def _put_back(family: Family, before: str) -> None:
    try:
        # Only our own part: in the meantime others may have changed theirs.
        _restore(family, restore_text(own_rules(before), present(family)))
    except HostError as error:
        log.error(  # noqa: TRY400 - the fault itself is on its way to the caller
            "the firewall could not be put back", extra={"fields": {"family": family, "reason": str(error)}}
        )


def _restore(family: Family, text: str, *options: str) -> None:
    if text:
        _run(family, "restore", ("--noflush", f"--wait={_LOCK_WAIT_S}", *options), text)


def _run(family: Family, command: str, options: Sequence[str], text: str = "") -> str:
    program = _program(family, command)
    if program is None:
        raise HostUnreachable(f"{_COMMANDS[family]}-{command} is not installed")
    try:
        done = subprocess.run(
            [program, *options],
            input=text,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HostUnreachable(f"{_COMMANDS[family]}-{command} did not end in {_LIMIT_S:g} s") from error
    except OSError as error:
        raise HostUnreachable(f"{_COMMANDS[family]}-{command} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        raise _refusal(family, done.stderr, text)
    return done.stdout


def _refusal(family: Family, said: str, text: str) -> FirewallRefused:
    words = " ".join(line.strip() for line in said.split("\n") if line.strip() and "help" not in line)
    number, lines = _LINE.search(said), text.split("\n")
    is_known = number is not None and 0 < int(number[1]) <= len(lines)
    return FirewallRefused(
        family, words or "refused without a reason", lines[int(number[1]) - 1] if number and is_known else ""
    )


def _program(family: Family, command: str) -> str | None:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    return shutil.which(f"{_COMMANDS[family]}-{command}", path=path)

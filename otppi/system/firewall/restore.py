"""What the restore command is given, so that our chains are as wanted and nothing else is touched."""

import re
from collections.abc import Iterator, Sequence

from otppi.system.firewall.ruleset import FORWARD_CHAIN, INPUT_CHAIN, Rules

_PREFIX = "OTPPI-"
# Table, the chain of the kernel that packets come from, and ours.
_PLACES = (("filter", "INPUT", INPUT_CHAIN), ("mangle", "FORWARD", FORWARD_CHAIN))
_REFERENCE = re.compile(rf"-A (?!{_PREFIX})\S+ (?:.* )?-[jg] {_PREFIX}\S+")


def restore_text(rules: Sequence[str], present: str) -> str:
    """Return the input for `iptables-restore --noflush` or `ip6tables-restore --noflush`.

    Each table is changed in one transaction: at no moment is a chain of ours empty. Other chains keep their rules and
    policies; the jump into our chain is made the first rule, once. All chains that begin with OTPPI- are ours.

    Args:
        rules: Everything that shall be in our chains; nothing removes the chains and every jump to them.
        present: What the save command of the same family says now.

    Returns:
        The text, or nothing if there is nothing to do.
    """
    return "".join(_table(*place, rules, present) for place in _PLACES)


def own_rules(present: str) -> Rules:
    """Return the rules that are in our chains, as `restore_text` takes them."""
    return tuple(line for line in present.split("\n") if line.startswith(f"-A {_PREFIX}"))


def _table(table: str, hook: str, chain: str, rules: Sequence[str], present: str) -> str:
    lines = _lines_of(table, present)
    wanted = [rule for rule in rules if rule.startswith(f"-A {chain} ")]
    stale = [one for one in _own_chains(lines) if one != chain or not wanted]
    if not wanted and not stale:
        return ""
    commands = (
        *((f":{chain} - [0:0]",) if wanted else ()),
        *_jumps(lines, f"-A {hook} -j {chain}", is_wanted=bool(wanted)),
        *(f"-F {one}" for one in stale),
        *(f"-X {one}" for one in stale),
        *wanted,
    )
    return "\n".join((f"*{table}", *commands, "COMMIT", ""))


def _jumps(lines: Sequence[str], jump: str, *, is_wanted: bool) -> Iterator[str]:
    hook = jump.split(" ")[1]
    references = [line for line in lines if _REFERENCE.fullmatch(line)]
    first = next((line for line in lines if line.startswith(f"-A {hook} ")), "")
    if is_wanted and first == jump and references == [jump]:
        return
    # By what they say and not by number: somebody may put a rule before them in this moment.
    yield from (f"-D{line.removeprefix('-A')}" for line in references)
    if is_wanted:
        yield f"-I {hook} 1{jump.removeprefix(f'-A {hook}')}"


def _own_chains(lines: Sequence[str]) -> list[str]:
    return [line[1:].split(" ")[0] for line in lines if line.startswith(f":{_PREFIX}")]


def _lines_of(table: str, present: str) -> list[str]:
    # Not splitlines(): a comment in a rule of somebody else may hold what Python takes for the end of a line.
    lines = present.split("\n")
    if f"*{table}" not in lines:
        return []
    begin = lines.index(f"*{table}")
    return lines[begin : lines.index("COMMIT", begin)] if "COMMIT" in lines[begin:] else lines[begin:]

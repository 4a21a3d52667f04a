"""Which modem of the settings is which of those that are plugged in.

A modem is known by its IMEI, wherever it is plugged in and whatever its port is called now. The port counts for
modems whose IMEI the settings do not have yet, and where several have the same: there are such clones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from otppi.modems.probe import FoundModem

# TS 23.003, 6.2.1: type and serial number. The last digit is a check digit or, from some modems, zero.
_IMEI_DIGITS_THAT_COUNT = 14


class Configured(Protocol):
    """What settings say of a modem that this has to know."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def port(self) -> str:
        """A node, its last part, or a name in /dev/serial; may be empty if there is an IMEI."""

    @property
    def imei(self) -> str:
        """Fifteen digits, or empty."""


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Who is who."""

    found: Mapping[str, FoundModem] = field(default_factory=dict)  # by the id of the settings
    new: tuple[FoundModem, ...] = ()  # not in the settings
    conflicts: tuple[str, ...] = ()  # what a person should look at, in words


def match(configured: Mapping[str, Configured], present: Sequence[FoundModem]) -> Matching:
    """Match settings and modems; what is given in another order is matched the same.

    `present` has one entry for each stick that may be a modem, those that did not answer included.
    """
    rest = sorted(present, key=lambda one: (one.stick.place, one.port.node))
    conflicts: list[str] = []
    found: dict[str, FoundModem] = {}
    for key, ids in _by_imei(configured).items():
        same = [one for one in rest if _key(one.identity.imei) == key]
        if len(ids) > 1 or len(same) > 1:
            conflicts.append(_clones(configured[ids[0]].imei, [configured[one].name for one in ids], same))
        taken = _by_port({one: configured[one] for one in ids}, same)
        # Where ports do not tell clones apart, the order does.
        others = [one for one in same if one not in taken.values()]
        taken |= dict(zip([one for one in ids if one not in taken], others, strict=False))
        found |= taken
        rest = [one for one in rest if one not in taken.values()]
    unknown = {one: settings for one, settings in configured.items() if not settings.imei}
    found |= _by_port(unknown, rest)
    # One that hangs tells no IMEI, and is still where it was.
    missing = {one: settings for one, settings in configured.items() if one not in found and settings.imei}
    found |= _by_port(missing, [one for one in rest if not one.identity.imei])
    rest = [one for one in rest if one not in found.values()]
    for modem_id, stranger in _by_port(missing, rest).items():
        settings = configured[modem_id]
        words = stranger_at(settings.port, settings, stranger.identity.imei)
        conflicts.append(f"{words}: otppi modem use {stranger.port.node} --name NAME")
    return Matching(found=found, new=tuple(rest), conflicts=tuple(conflicts))


def is_another(settings: Configured, imei: str) -> bool:
    """Whether a modem that told this IMEI is surely not the one of the settings; an empty one tells nothing."""
    return bool(settings.imei and imei) and _key(settings.imei) != _key(imei)


def stranger_at(port: str, settings: Configured, imei: str) -> str:
    """Say that at the port of a modem there is another; IMEIs by their ends."""
    return (
        f"at {port} is another modem (IMEI …{imei[-4:]}) than {settings.name} (IMEI …{settings.imei[-4:]}); "
        "it is not used until it is added or put in the place of the other"
    )


def _key(imei: str) -> str:
    return imei[:_IMEI_DIGITS_THAT_COUNT]


def _by_imei(configured: Mapping[str, Configured]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for modem_id, settings in sorted(configured.items()):
        if settings.imei:
            grouped.setdefault(_key(settings.imei), []).append(modem_id)
    return grouped


def _by_port(configured: Mapping[str, Configured], present: Iterable[FoundModem]) -> dict[str, FoundModem]:
    found: dict[str, FoundModem] = {}
    for one in present:
        for modem_id, settings in sorted(configured.items()):
            # Any port of a stick means the stick: the settings may name the one that takes no commands.
            if modem_id not in found and any(port.answers_to(settings.port) for port in one.stick.ports):
                found[modem_id] = one
                break
    return found


def _clones(imei: str, names: Sequence[str], same: Sequence[FoundModem]) -> str:
    places = ", ".join(one.port.node for one in same) or "none"
    return (
        f"the IMEI …{imei[-4:]} is not unique: settings {', '.join(names)}, modems at {places}; they are told apart by "
        "their ports, so leave each where it is"
    )

"""Resetting what the flags of a reset file name, in a gateway that runs or in a folder without one."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from otppi.lib.atomicfile import sync_folder
from otppi.lib.bus import Bus
from otppi.model.errors import SettingsError
from otppi.model.events import ResetByStick
from otppi.services.folders import StateFolder
from otppi.services.network_before import NETWORK_SECTIONS
from otppi.settings.paths import ONLY
from otppi.settings.resetfile import sections_to_reset
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore
from otppi.system.network.settings import DhcpSettings, WlanSettings

log = logging.getLogger(__name__)

KEYSTORE = "RESET_KEYSTORE"


class Extra(NamedTuple):
    """Something that a flag resets and that is no section of settings."""

    title: str
    reset: Callable[[], None]  # raises OSError


@dataclass(frozen=True, kw_only=True)
class FlagsReset:
    """What became of some flags."""

    done: tuple[str, ...] = ()  # flags; those without anything to reset are among them
    sections: tuple[str, ...] = ()  # titles of what was reset
    without: tuple[str, ...] = ()  # flags that name nothing in this release
    failed: Mapping[str, str] = field(default_factory=dict)  # title to reason

    def as_json(self) -> dict[str, Any]:
        """Return it for the wire."""
        return asdict(self)


class Resets:
    """What a stick resets, by the control socket or directly where no gateway runs."""

    def __init__(self, store: SettingsStore, extra: Mapping[str, Extra], bus: Bus | None = None) -> None:
        self._store = store
        self._extra = extra
        self._bus = bus

    def listed(self) -> list[dict[str, Any]]:
        """List the flags that name something in this release, with the titles of what each resets."""
        titles: dict[str, list[str]] = {}
        for section in self._store.sections:
            if section.reset_flag:
                titles.setdefault(section.reset_flag, []).append(section.title)
        for flag, one in self._extra.items():
            titles.setdefault(flag, []).append(one.title)
        network = {section.reset_flag for section in NETWORK_SECTIONS}
        return [
            {"flag": flag, "titles": named, "is_network": flag in network} for flag, named in titles.items()
        ]

    def apply(self, flags: Collection[str]) -> dict[str, Any]:
        """Reset what these flags name, as far as it can be."""
        return reset_flags(flags, self._store, self._extra).as_json()

    def report(self, sections: Sequence[str], refusal: str) -> None:
        """Tell everybody what a stick did; asked for when it is sure that it will not do it again."""
        if self._bus is not None:
            self._bus.publish(ResetByStick(sections=tuple(sections), refusal=refusal))


def keystore(state: StateFolder, renewed: Callable[[], None] = lambda: None) -> dict[str, Extra]:
    """Return what `RESET_KEYSTORE` resets.

    Args:
        state: The folder that holds the certificate.
        renewed: Called when the old certificate is gone, so that listeners make a new one.
    """

    def reset() -> None:
        forget_certificate(state)
        renewed()

    return {KEYSTORE: Extra("Certificate", reset)}


def forget_certificate(state: StateFolder) -> None:
    """Remove the certificate and its key; a new pair is made where one is wanted next.

    Raises:
        OSError: Something could not be removed.
    """
    # The key first: a certificate without one is made anew, a key without one would be used again.
    with suppress(FileNotFoundError):
        there = sorted(state.certificate.iterdir(), key=lambda path: path.suffix != ".key")
        for path in there:
            path.unlink()
        sync_folder(state.certificate)


def reset_flags(flags: Collection[str], store: SettingsStore, extra: Mapping[str, Extra]) -> FlagsReset:
    """Reset everything that the flags name; what fails does not stop the rest."""
    wanted = frozenset(flags)
    sections = sections_to_reset(wanted, store.sections)
    named = {section.reset_flag for section in sections} | set(extra)
    failures = reset_sections(store, sections)
    titles = [section.title for section in sections if section not in failures]
    if WlanSettings in failures and (instead := _reset_access_point(store)):
        del failures[WlanSettings]
        titles += instead
    failed = {section.title: reason for section, reason in failures.items()}
    failed_flags = {section.reset_flag for section in failures}
    for flag, one in extra.items():
        if flag in wanted:
            try:
                one.reset()
                titles.append(one.title)
            except OSError as error:
                failed[one.title] = error.strerror or type(error).__name__
                failed_flags.add(flag)
    return FlagsReset(
        done=tuple(sorted(wanted - failed_flags)),
        sections=tuple(titles),
        without=tuple(sorted(wanted - named)),
        failed=failed,
    )


def _reset_access_point(store: SettingsStore) -> Sequence[str]:
    """Give back a Wi-Fi that the owner can join, though its factory address does not fit to what stays.

    Returns:
        What was reset; nothing if nothing could be.
    """
    present = store.get(WlanSettings).address
    ways: tuple[tuple[str, Mapping[type[Section], Section]], ...] = (
        # Leases for another network are of no use to who wants the factory's Wi-Fi back.
        (DhcpSettings.title, {WlanSettings: WlanSettings(), DhcpSettings: DhcpSettings()}),
        # A static Ethernet in the factory's network: name and passphrase are what an owner has lost.
        (f"its address stays {present}", {WlanSettings: WlanSettings(address=present)}),
    )
    for besides, values in ways:
        with suppress(SettingsError):
            store.replace({section: {ONLY: value} for section, value in values.items()})
            return WlanSettings.title, besides
    return ()


def reset_sections(store: SettingsStore, sections: Iterable[type[Section]]) -> dict[type[Section], str]:
    """Give sections their factory values; returns those that could not be, with the reason.

    All at once first: the factory values fit each other, while each of them may be refused beside the present
    values of another. Then one by one, so that what does fit is not lost for one that does not.
    """
    left = list(sections)
    with store.exclusively():
        with suppress(SettingsError):
            store.replace({section: _factory(section) for section in left})
        failures: dict[type[Section], str] = {}
        while left:
            failures = {section: reason for section in left if (reason := _reset(store, section))}
            if len(failures) == len(left):
                break
            # What was reset just now may have been in the way of those.
            left = list(failures)
    return failures


def _factory(section: type[Section]) -> Mapping[str, Section]:
    return {} if section.many else {ONLY: section()}


def _reset(store: SettingsStore, section: type[Section]) -> str:
    try:
        store.reset(section)
    except SettingsError as error:
        log.error(  # noqa: TRY400 - the reason says it all
            "a section could not be reset",
            extra={"fields": {"section": section.key, "reason": str(error)}},
        )
        return str(error)
    return ""

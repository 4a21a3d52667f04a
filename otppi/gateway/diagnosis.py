"""What is looked at in the diagnosis of the gateway itself, and what is advised."""

import shlex
from collections.abc import Iterable, Sequence

from otppi.model.checks import Check, Level
from otppi.model.modems import LEFT_TO_A_PERSON, ModemState, ModemStatus, Registration


def check_modems(modems: Sequence[ModemStatus], *, has_new: bool = False) -> Iterable[Check]:
    """Look at every modem, and at all of them together; `has_new`: one is plugged in that nobody uses yet."""
    active = [modem for modem in modems if modem.active and not modem.internet_access]
    if not active:
        yield Check(
            name="modems",
            level=Level.YELLOW,
            finding="no modem is set up",
            advice="One is plugged in: otppi modem found, then otppi modem use NODE --name NAME"
            if has_new
            else "Plug in a modem and add it: otppi modem add --name NAME --port PORT",
        )
        return
    for modem in active:
        yield _check_modem(modem)
        yield from _check_store(modem)
    if not any(modem.is_ready and modem.api_enabled for modem in active):
        yield Check(
            name="modems",
            level=Level.RED,
            finding="no modem can send messages of the API",
            advice="See the lines of the modems.",
        )
    elif not any(modem.is_default or modem.tariff.fares for modem in active):
        yield Check(
            name="default modem",
            level=Level.YELLOW,
            finding="no modem is the default",
            advice="Numbers that match no prefix go to any modem, perhaps a dear one; mark one as default.",
        )
    unpriced = [modem.name for modem in active if not modem.tariff.fares]
    if 0 < len(unpriced) < len(active):
        yield Check(
            name="prices",
            level=Level.YELLOW,
            finding=f"not known of {', '.join(unpriced)}",
            advice="A SIM of unknown price is used last. Set it: "
            f"otppi modem price {shlex.quote(unpriced[0])} other=PRICE",
        )


_FULL = 0.8
_ADVICE = {  # with MODEM for the modem's name
    ModemState.ABSENT: "Check that it is plugged in and that its port is right.",
    ModemState.PIN_NEEDED: "Give its PIN: otppi sim pin enter MODEM, or in the modem's settings.",
    ModemState.PUK_BLOCKED: "Its operator has the PUK, often printed on the card it came in: otppi sim unblock MODEM",
    ModemState.SIM_BLOCKED: "Check the SIM card: that it is in, the right way round, and free for this modem. "
    "Then pull the modem out and put it in again: many notice a SIM only at their start.",
    ModemState.SEARCHING: "Check antenna and place, and that the SIM is active; it is asked again every few seconds.",
    ModemState.HUNG: "Nothing; in a minute and a half it has been brought back, or this says that it failed.",
    ModemState.RECOVERING: "Nothing; other modems that are ready take its messages meanwhile.",
    ModemState.FAILED: "Pull it out and put it in again; if that helps for a short time only, see that its power "
    "supply is strong enough (a powered hub), or replace it. It is tried on by itself.",
    ModemState.STARTING: "Wait a few seconds.",
}


_PASSING = frozenset({ModemState.STARTING, ModemState.HUNG, ModemState.RECOVERING})


def _check_ready(modem: ModemStatus, finding: str) -> Check:
    name = f"modem {modem.name}"
    if modem.swapped_sim is not None:
        before, now = modem.swapped_sim
        return Check(
            name=name,
            level=Level.YELLOW,
            finding=f"{finding}; the SIM …{now} is in, and its settings are for …{before}",
            advice="See that prices, prefixes and PIN fit it, then: otppi settings set "
            f"modems.{modem.id}.iccid ''",
        )
    if modem.registration is Registration.ROAMING:
        return Check(
            name=name,
            level=Level.YELLOW,
            finding=f"{finding}, roaming",
            advice="Messages may cost much more in a foreign network; choose one: "
            f"otppi sim operator {shlex.quote(modem.name)} CODE",
        )
    return Check(name=name, level=Level.GREEN, finding=finding)


def _check_modem(modem: ModemStatus) -> Check:
    name = f"modem {modem.name}"
    if modem.is_ready:
        signal = f", signal {modem.signal.rssi_dbm} dBm" if modem.signal else ", signal unknown"
        return _check_ready(modem, f"{modem.state.value}{signal}")
    level = Level.YELLOW if modem.state in _PASSING else Level.RED
    finding = modem.in_words
    advice = _ADVICE.get(modem.state, "").replace("MODEM", shlex.quote(modem.name))
    if modem.state is ModemState.PIN_NEEDED and LEFT_TO_A_PERSON in modem.reason:
        advice = "Put the SIM into a phone and enter the PIN there; a wrong one blocks the SIM."
    return Check(name=name, level=level, finding=finding, advice=advice)


def _check_store(modem: ModemStatus) -> Iterable[Check]:
    if modem.store_fill is not None and modem.store_fill >= _FULL:
        yield Check(
            name=f"messages of {modem.name}",
            level=Level.YELLOW,
            finding=f"the store of the SIM is {modem.store_fill:.0%} full",
            advice="What was received could not be taken from it; see the log. When it is full nothing more comes in.",
        )


def check_clock(is_trusted: bool) -> Check:
    """Look at the wall clock."""
    if is_trusted:
        return Check(name="clock", level=Level.GREEN, finding="plausible")
    return Check(
        name="clock",
        level=Level.YELLOW,
        finding="before this release was made",
        advice="Set the time. Until then expirations are counted from the sender's date_time.",
    )


def check_runtime_folder(is_kept: bool) -> Check:
    """Look at where a restart of the service finds what it knew."""
    if is_kept:
        return Check(name="runtime folder", level=Level.GREEN, finding="on a RAM file system")
    return Check(
        name="runtime folder",
        level=Level.YELLOW,
        finding="none, or not on a RAM file system, or closed to us",
        advice="Codes on their way are forgotten when the service restarts. Give --runtime-dir a folder on a tmpfs.",
    )


def check_settings(problems: Sequence[str]) -> Check:
    """Look at the stored settings."""
    if not problems:
        return Check(name="settings", level=Level.GREEN, finding="all are well")
    return Check(
        name="settings",
        level=Level.YELLOW,
        finding=", ".join(problems),
        advice="These were replaced by the previous or factory values; look at them and save them again.",
    )


def check_door(name: str, problem: str) -> Check:
    """Look at a listener."""
    if not problem:
        return Check(name=name, level=Level.GREEN, finding="listens")
    return Check(
        name=name,
        level=Level.RED,
        finding=problem,
        advice="Choose another port, or end the program that holds it; it is tried again by itself.",
    )

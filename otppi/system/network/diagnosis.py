"""What is looked at in the network, and what is advised."""

from collections.abc import Iterable

from otppi.model.checks import Check, Level
from otppi.model.network import AccessPointPlan, EthernetPlan, InterfaceState, NetworkPlan, NetworkState
from otppi.system.network.planning import lan_conflict


def look_at(
    plan: NetworkPlan,
    state: NetworkState | None,
    *,
    unreachable: str = "",
    trouble: str = "",
    trial_remaining_s: float | None = None,
) -> list[Check]:
    """Compare what is with what is planned.

    Args:
        plan: What is wanted.
        state: What is; None if NetworkManager did not say.
        unreachable: Why it did not.
        trouble: Why the plan could not be made so.
        trial_remaining_s: Seconds until a change goes back; None if none is on trial.
    """
    checks = [_network_service(unreachable, trouble)]
    if state is not None:
        if plan.access_point is not None:
            checks += _access_point(plan.access_point, state)
        if plan.ethernet is not None:
            checks.append(_ethernet(plan.ethernet, state.of(plan.ethernet.interface)))
    if trial_remaining_s is not None:
        checks.append(_trial(trial_remaining_s))
    if state is not None and (conflict := lan_conflict(plan, state)) is not None:
        checks.append(conflict)
    return checks


def _network_service(unreachable: str, trouble: str) -> Check:
    name = "network service"
    if unreachable:
        return _red(
            name,
            unreachable,
            "It is asked again by itself; if that lasts, restart the device. What was set up goes on working.",
        )
    if trouble:
        return Check(
            name=name,
            level=Level.YELLOW,
            finding=trouble,
            advice="It is tried again by itself; see the lines of the access point and Ethernet.",
        )
    return Check(name=name, level=Level.GREEN, finding="answers")


def _access_point(plan: AccessPointPlan, state: NetworkState) -> Iterable[Check]:
    name, device = "access point", state.of(plan.interface)
    if device is None:
        yield _red(
            name,
            f"there is no {plan.interface}",
            "Restart the device. If it stays so, the board has no Wi-Fi: use Ethernet and set wlan.enabled to false.",
        )
        return
    if state.wifi_enabled is False:
        yield _red(name, "Wi-Fi is blocked", "Set wlan.country to your country and restart the device.")
    elif device.state == "unavailable":
        yield _red(name, "the radio is not ready", "Set wlan.country to your country and restart the device.")
    elif device.state != "activated" or device.mode not in ("ap", ""):
        yield _red(
            name,
            f"is not up ({device.state})",
            "Choose channel 1, 6 or 11; others may not be allowed in your country.",
        )
    elif difference := _difference(plan, device):
        yield Check(
            name=name,
            level=Level.YELLOW,
            finding=difference,
            advice="It is made as set by itself within a minute; if that lasts, restart the device.",
        )
    else:
        yield Check(name=name, level=Level.GREEN, finding=_in_words(plan, device))
    if state.country != plan.country:
        yield _country(plan, state)


def _difference(plan: AccessPointPlan, device: InterfaceState) -> str:
    if plan.address not in device.addresses:
        return f"has another address than {plan.address}"
    if device.ssid != plan.ssid:
        return f"is called {device.ssid}, not {plan.ssid}"
    if plan.channel and device.channel and device.channel != plan.channel:
        return f"is on channel {device.channel}, not {plan.channel}"
    return ""


def _in_words(plan: AccessPointPlan, device: InterfaceState) -> str:
    on_channel = f", channel {device.channel}" if device.channel else ""
    return f"{device.ssid} at {plan.address}{on_channel}, {device.security or 'security unknown'}"


def _country(plan: AccessPointPlan, state: NetworkState) -> Check:
    return Check(
        name="Wi-Fi country",
        level=Level.YELLOW,
        finding=f"{state.country or 'unknown'} is in force, {plan.country} is set",
        advice="Some radios know their country by themselves. If channels are missing, restart the device.",
    )


def _ethernet(plan: EthernetPlan, device: InterfaceState | None) -> Check:
    name = "Ethernet"
    if device is None:
        return _red(
            name,
            f"there is no {plan.interface}",
            "Restart the device; on a board without a socket use Wi-Fi or mobile internet.",
        )
    if device.has_carrier is False:
        return Check(
            name=name,
            level=Level.YELLOW,
            finding="no link",
            advice="Plug in the cable, unless mobile internet is all you want.",
        )
    if device.state != "activated":
        wants_dhcp = plan.address is None
        return _red(
            name,
            f"is not up ({device.state})",
            "No DHCP server answers; check the router." if wants_dhcp else "Check the address settings.",
        )
    if plan.address is not None and plan.address not in device.addresses:
        return _red(
            name,
            f"has another address than {plan.address}",
            "It is made as set by itself within a minute; if that lasts, restart the device.",
        )
    return _ethernet_up(device)


def _ethernet_up(device: InterfaceState) -> Check:
    addresses = ", ".join(map(str, device.addresses)) or "no IPv4 address"
    finding = f"{addresses}{' by DHCP' if device.by_dhcp else ''}"
    if device.gateway is None:
        return Check(
            name="Ethernet",
            level=Level.YELLOW,
            finding=f"{finding}, no gateway",
            advice="Only the local network can be reached. "
            + (
                "Check the router."
                if device.by_dhcp
                else "Set ethernet.gateway to the address of your router."
            ),
        )
    return Check(name="Ethernet", level=Level.GREEN, finding=f"{finding}, gateway {device.gateway}")


def _trial(remaining_s: float) -> Check:
    return Check(
        name="network change",
        level=Level.YELLOW,
        finding=f"waits for its confirmation, {remaining_s:.0f} s left",
        advice="Open the link that `otppi network trial` shows, from the new network; or wait: it goes back by itself.",
    )


def _red(name: str, finding: str, advice: str) -> Check:
    return Check(name=name, level=Level.RED, finding=finding, advice=advice)

"""The network of the device through NetworkManager."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from otppi.model.errors import HostError, HostRefused
from otppi.model.network import NetworkPlan, NetworkState
from otppi.system import dbus
from otppi.system.network.link import SERVICE, Link
from otppi.system.network.profiles import (
    ACCESS_POINT,
    Abilities,
    Profile,
    Unsigned,
    Wide,
    abilities,
    differs,
    profiles_of,
)
from otppi.system.network.radio import present_country, present_radio
from otppi.system.network.reported import Reported, interface_state, is_shown, reason_text

log = logging.getLogger(__name__)

_MANAGER: Final = "/org/freedesktop/NetworkManager"
_CHECKPOINTS: Final = f"{_MANAGER}/Checkpoint/"
# New devices are not cut off at a rollback: mobile internet may have come up in between.
_DELETE_NEW_CONNECTIONS: Final = 2
_WIFI: Final = "802-11-wireless"
_WIFI_SECURITY: Final = "802-11-wireless-security"
_UNAVAILABLE, _DISCONNECTED, _ACTIVATED = 20, 30, 100
_BUSY: Final = frozenset({40, 50, 60, 70, 80, 90, 110})
_NO_OBJECT: Final = "/"
_TRIES: Final = 3
_GLANCE_S: Final = 0.1
_RADIO_READY_S: Final = 15.0
_HOSTNAME_LAG_S: Final = 3.0


class NetworkManagerNetwork:
    """Implements `Network`.

    An access point that is not in the plan has no profile, so it is off; a wired network that is not in the plan
    keeps whatever profile it has. Only profiles that changed are waited for: one that was down before, such as a
    wire without a cable or a DHCP server that is away, must not stand in the way of another change.
    """

    def __init__(self, *, call_limit_s: float = 10.0, activation_limit_s: float = 60.0) -> None:
        self._link = Link(call_limit_s)
        self._activation_limit_s = activation_limit_s

    def state(self) -> NetworkState:
        """See `Network`."""
        radio = present_radio()
        can_wpa3 = radio.supports_wpa3 if radio.is_present else None
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._state(can_wpa3)
            except HostRefused:
                # Something went away between two questions, as always happens while connections come and go.
                if not tries_left:
                    raise
                time.sleep(_GLANCE_S)
        raise AssertionError

    def apply(self, plan: NetworkPlan) -> None:
        """See `Network`."""
        able = self._abilities()
        self._set_hostname(plan.hostname)
        if plan.access_point is None:
            self._remove(ACCESS_POINT[1])
        else:
            self._switch_wifi_on()
        failure: HostError | None = None
        for profile in profiles_of(plan, able):
            try:
                self._make_so(profile)
            except HostError as error:
                # The others are still made so: after a bad access point the wire is the way in.
                failure = failure or error
        if failure is not None:
            raise failure

    def begin_trial(self, rollback_s: int) -> str:
        """See `Network`."""
        body: list[Any] = [[], rollback_s, _DELETE_NEW_CONNECTIONS]
        return str(dbus.call(SERVICE, _MANAGER, SERVICE, "CheckpointCreate", "aouu", body)[0])

    def keep(self, trial: str) -> None:
        """See `Network`."""
        dbus.call(SERVICE, _MANAGER, SERVICE, "CheckpointDestroy", "o", (_checkpoint(trial),))

    def take_back(self, trial: str) -> None:
        """See `Network`; waits until the connections that were are up again, or have failed."""
        results = dbus.call(SERVICE, _MANAGER, SERVICE, "CheckpointRollback", "o", (_checkpoint(trial),))[0]
        if failed := sum(1 for result in results.values() if result):
            log.warning("a device could not be taken back", extra={"fields": {"devices": failed}})
        deadline_s = time.monotonic() + self._activation_limit_s
        while self._is_busy() and time.monotonic() < deadline_s:
            time.sleep(_GLANCE_S)

    def _state(self, can_wpa3: bool | None) -> NetworkState:
        with self._link.session() as library:
            manager = library.NetworkManager
            devices = [one for one in manager.GetDevices() if is_shown(one.DeviceType)]
            return NetworkState(
                hostname=library.Settings.Hostname,
                interfaces=tuple(
                    interface_state(_report(device), radio_can_wpa3=bool(can_wpa3)) for device in devices
                ),
                wifi_enabled=manager.WirelessEnabled and manager.WirelessHardwareEnabled,
                radio_can_wpa3=can_wpa3,
                country=present_country(),
            )

    def _abilities(self) -> Abilities:
        with self._link.session() as library:
            version = library.NetworkManager.Version
        return abilities(version, radio_can_wpa3=present_radio().supports_wpa3)

    def _set_hostname(self, hostname: str) -> None:
        if self._hostname() == hostname:
            return
        with self._link.session() as library:
            library.Settings.SaveHostname(hostname)
        # NetworkManager hears of the change from the file system or from hostnamed, a little later.
        deadline_s = time.monotonic() + _HOSTNAME_LAG_S
        while self._hostname() != hostname and time.monotonic() < deadline_s:
            time.sleep(_GLANCE_S)

    def _hostname(self) -> str:
        with self._link.session() as library:
            return str(library.Settings.Hostname)

    def _switch_wifi_on(self) -> None:
        with self._link.session() as library:
            if not library.NetworkManager.WirelessEnabled:
                library.NetworkManager.WirelessEnabled = True

    def _remove(self, uuid: str) -> None:
        with self._link.session() as library:
            if (connection := _connection(library, uuid)) is not None:
                connection.Delete()

    def _make_so(self, wanted: Profile) -> None:
        """Write a profile where it differs; then it must come up. One that did not change is merely reminded."""
        with self._link.session() as library:
            connection, changed = _written(library, wanted)
        if not changed:
            self._remind(wanted, connection)
        elif device := self._available_device(wanted):
            self._link.forget_failure(device.object_path)
            with self._link.session() as library:
                library.NetworkManager.ActivateConnection(connection, device, _NO_OBJECT)
            self._wait_until_up(wanted, device)

    def _remind(self, profile: Profile, connection: Any) -> None:  # noqa: ANN401 - of the library
        try:
            with self._link.session() as library:
                device = _device(library, profile)
                if device is None or device.State not in (_DISCONNECTED, _ACTIVATED):
                    return
                if not _is_active(device, profile):
                    library.NetworkManager.ActivateConnection(connection, device, _NO_OBJECT)
        except HostRefused as error:
            log.info("a profile is not up", extra={"fields": {"reason": str(error)}})

    def _available_device(self, profile: Profile) -> Any:  # noqa: ANN401 - of the library
        """Return the device to activate a profile on, or None for a wire without a cable.

        Raises:
            HostRefused: It is missing, or a radio is not ready.
        """
        interface, is_wifi = profile["connection"]["interface-name"], _WIFI in profile
        deadline_s = time.monotonic() + (_RADIO_READY_S if is_wifi else 0.0)
        while True:
            with self._link.session() as library:
                device = _device(library, profile)
                if device is not None and device.State > _UNAVAILABLE:
                    return device
                is_unplugged = device is not None and device.State == _UNAVAILABLE and not is_wifi
            if is_unplugged:
                return None
            if device is None or time.monotonic() >= deadline_s:
                raise HostRefused("DeviceNotReady", f"{interface} is {_why_not(device, is_wifi=is_wifi)}")
            time.sleep(_GLANCE_S)

    def _wait_until_up(self, profile: Profile, device: Any) -> None:  # noqa: ANN401 - of the library
        interface = profile["connection"]["interface-name"]
        deadline_s = time.monotonic() + self._activation_limit_s
        while True:
            with self._link.session():
                if device.State == _ACTIVATED and _is_active(device, profile):
                    return
                reason = self._link.failure_of(device.object_path)
            if reason is not None:
                raise HostRefused("NotActivated", f"{interface} did not come up: {reason_text(reason)}")
            if time.monotonic() >= deadline_s:
                limit = f"{self._activation_limit_s:g} s"
                raise HostRefused("NotActivated", f"{interface} did not come up within {limit}")
            time.sleep(_GLANCE_S)

    def _is_busy(self) -> bool:
        try:
            with self._link.session() as library:
                return any(device.State in _BUSY for device in library.NetworkManager.GetDevices())
        except HostRefused:
            return True


def _checkpoint(trial: str) -> str:
    # The path "/" would end the trials of others as well.
    if not trial.startswith(_CHECKPOINTS):
        raise HostRefused("InvalidArguments", "there is no such trial")
    return trial


def _connection(library: Any, uuid: str) -> Any:  # noqa: ANN401 - of the library
    try:
        return library.Settings.GetConnectionByUuid(uuid)
    except library.dbus.exceptions.DBusException as error:
        if str(error.get_dbus_name()).endswith(".InvalidConnection"):
            return None
        raise


def _written(library: Any, wanted: Profile) -> tuple[Any, bool]:  # noqa: ANN401 - of the library
    """Return the stored profile, and whether it had to be written."""
    connection = _connection(library, wanted["connection"]["uuid"])
    if connection is None:
        return library.Settings.AddConnection(_typed(library, wanted)), True
    present = connection.GetSettings()
    if _WIFI_SECURITY in present:
        present[_WIFI_SECURITY] |= connection.GetSecrets(_WIFI_SECURITY).get(_WIFI_SECURITY, {})
    if not differs(present, wanted):
        return connection, False
    connection.Update(_typed(library, wanted))
    return connection, True


def _typed(library: Any, value: Any) -> Any:  # noqa: ANN401 - any value of a profile
    if isinstance(value, Mapping):
        return {key: _typed(library, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_typed(library, one) for one in value]
    if isinstance(value, Unsigned):
        return library.dbus.UInt32(value)
    return library.dbus.Int64(value) if isinstance(value, Wide) else value


def _device(library: Any, profile: Profile) -> Any:  # noqa: ANN401 - of the library
    try:
        return library.NetworkManager.GetDeviceByIpIface(profile["connection"]["interface-name"])
    except library.dbus.exceptions.DBusException as error:
        if str(error.get_dbus_name()).endswith(".UnknownDevice"):
            return None
        raise


def _is_active(device: Any, profile: Profile) -> bool:  # noqa: ANN401 - of the library
    active = device.ActiveConnection
    return active is not None and active.Uuid == profile["connection"]["uuid"]


def _why_not(device: Any, *, is_wifi: bool) -> str:  # noqa: ANN401 - of the library
    if device is None:
        return "not there; this board has no such radio" if is_wifi else "not there"
    if is_wifi:
        return "not ready: the radio is blocked, its country is unset, or the Wi-Fi service does not run"
    return "not under the care of NetworkManager"


def _report(device: Any) -> Reported:  # noqa: ANN401 - of the library
    active, ip4 = device.ActiveConnection, device.Ip4Config
    of_wifi: dict[str, Any] = {}
    if (point := getattr(device, "ActiveAccessPoint", None)) is not None:
        security = active.Connection.GetSettings().get(_WIFI_SECURITY, {}) if active is not None else {}
        of_wifi = {
            "mode": device.Mode,
            "ssid": point.Ssid,
            "frequency_mhz": point.Frequency,
            "protected_frames": security.get("pmf", 0),
            "key_management": security.get("key-mgmt", ""),
        }
    return Reported(
        interface=device.Interface,
        kind=device.DeviceType,
        state=device.State,
        flags=getattr(device, "InterfaceFlags", None),
        profile=active.Id if active is not None else "",
        addresses=tuple(ip4.AddressData) if ip4 is not None else (),
        gateway=(ip4.Gateway or "") if ip4 is not None else "",
        name_servers=tuple(ip4.NameserverData) if ip4 is not None else (),
        by_dhcp=device.Dhcp4Config is not None,
        **of_wifi,
    )

"""The link to NetworkManager: python-networkmanager, loaded when first needed and healed when the bus was away.

The library asks the bus while it is imported, keeps one connection for the whole process, and wants a GLib main loop
as the process's default (`DBusGMainLoop(set_as_default=True)`: any other user of dbus-python in this process gets it
too). Nobody runs that loop; what it holds is taken out at each session, or it would grow for ever.
"""

import importlib
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from otppi.model.errors import HostError, HostRefused, HostUnreachable
from otppi.system import dbus

SERVICE: Final = "org.freedesktop.NetworkManager"
_MODULE: Final = "NetworkManager"
_DEVICE_FAILED: Final = 120
_NOBODY: Final = frozenset(
    {"Disconnected", "FileNotFound", "NameHasNoOwner", "NoReply", "NoServer", "ServiceUnknown", "TimedOut"}
)


class Link:
    """One thread at a time talks to NetworkManager; each call of the library is limited in time."""

    def __init__(self, call_limit_s: float) -> None:
        self._call_limit_s = call_limit_s
        self._lock = threading.RLock()
        self._library: Any = None
        self._bus: Any = None
        self._failures: dict[str, int] = {}

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Give the module python-networkmanager for a few calls; waits for another thread's session.

        Raises:
            HostUnreachable: There is no bus, no NetworkManager, or no answer.
            HostRefused: NetworkManager said no, or what was asked about has gone in between.
        """
        if not self._lock.acquire(timeout=self._call_limit_s):
            raise HostUnreachable("NetworkManager has not answered another question yet")
        try:
            try:
                self._make_ready()
                _take_out_signals()
                yield self._library
            except (HostError, OSError):
                raise
            except Exception as error:
                raise _in_our_words(error) from error
        finally:
            self._lock.release()

    def forget_failure(self, device: str) -> None:
        """Forget why this device, a path, failed before."""
        self._failures.pop(device, None)

    def failure_of(self, device: str) -> int | None:
        """Return NetworkManager's reason if this device, a path, has failed since it was forgotten."""
        return self._failures.get(device)

    def _make_ready(self) -> None:
        if self._library is None:
            self._library = _loaded()
        if self._bus is not None and not self._bus.get_is_connected():
            self._bus.close()
            self._bus = None
        if self._bus is None:
            self._connect()

    def _connect(self) -> None:
        _expect_bus()
        bus = self._library.dbus.SystemBus()
        # By default libdbus ends the process when the bus goes away.
        bus.set_exit_on_disconnect(False)
        # The library passes no limits; this is where all its calls go through.
        bus.call_blocking = partial(bus.call_blocking, timeout=self._call_limit_s)
        bus.add_signal_receiver(
            self._note_failure,
            "StateChanged",
            f"{SERVICE}.Device",
            bus_name=SERVICE,
            path_keyword="path",
        )
        for lasting in (self._library.NetworkManager, self._library.Settings, self._library.AgentManager):
            lasting._proxy = None
        self._bus = bus

    def _note_failure(self, new_state: int, _old_state: int, reason: int, path: str) -> None:
        if int(new_state) == _DEVICE_FAILED:
            self._failures[str(path)] = int(reason)


def _expect_bus() -> None:
    # libdbus waits for ever for a bus that takes connections and does not answer.
    dbus.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId")


def _loaded() -> Any:  # noqa: ANN401 - a module without types
    _expect_bus()
    # It would log the arguments of a call that it cannot put into a message, passphrase included.
    logging.getLogger("dbus.connection").disabled = True
    library: Any = importlib.import_module(_MODULE)
    if not hasattr(library.NetworkManager, "GetDeviceByIpIface"):
        # Imported without a bus it is an empty shell for the rest of its life.
        del sys.modules[_MODULE]
        raise HostUnreachable("the system bus cannot be reached")
    # Its own way to follow restarts sleeps, and hears of every program that joins the bus; proxies that follow the
    # name, which it makes as well, are enough.
    library.NMDbusInterface.last_disconnect = 1
    library.device_class = partial(_device_class, library.device_class, library.Generic)
    importlib.import_module("dbus.mainloop.glib").DBusGMainLoop(set_as_default=True)
    return library


def _device_class(known: Any, fallback: Any, kind: int) -> Any:  # noqa: ANN401 - classes of the library
    """Return the class for a device; the library fails for each kind that is younger than itself."""
    try:
        return known(kind)
    except KeyError:
        return fallback


def _take_out_signals() -> None:
    context = importlib.import_module("gi.repository.GLib").MainContext.default()
    while context.iteration(False):
        pass


def _in_our_words(error: Exception) -> HostError:
    name = getattr(error, "get_dbus_name", lambda: None)()
    if isinstance(error, ImportError):
        return HostUnreachable("python3-networkmanager, python3-dbus or python3-gi is not installed")
    if name is None:
        return HostRefused(type(error).__name__, "NetworkManager's answer is not as the library expects it")
    short = str(name).rsplit(".", 1)[-1]
    text = str(getattr(error, "get_dbus_message", lambda: "")())
    if short in _NOBODY:
        return HostUnreachable(f"NetworkManager does not answer: {text or short}")
    return HostRefused(short, text)

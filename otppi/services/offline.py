"""What the command line does itself where no gateway runs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from otppi.gateway import diagnosis
from otppi.gateway.inbox import Inbox, InboxSettings
from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.lib.filelock import hold
from otppi.model.checks import Check, Level
from otppi.services.administration import Administration
from otppi.services.backup import Backup
from otppi.services.control import NotRunning
from otppi.services.folders import StateFolder
from otppi.services.network_before import SettingsBefore
from otppi.services.old_device.takeover import OldDevice
from otppi.services.sections import SECTIONS, watch_over
from otppi.services.whole_change import ChangeBefore
from otppi.settings.store import SettingsStore
from otppi.system import storage

# What only reads neither makes a folder nor needs the right to write to it.
_READING = frozenset(
    {
        "settings.get",
        "settings.check",
        "settings.export",
        "modem.list",
        "account.list",
        "backup.read",
        "old_device.read",
    }
)


def administer(state_dir: Path, name: str, args: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Do what a running gateway would do; under the folder's lock if it changes something.

    Raises:
        AlreadyHeld: A gateway is just starting, or another command is at work.
        OSError: The folder cannot be read or written.
    """
    if name in _READING:
        return _call(StateFolder(state_dir), SettingsStore(state_dir, SECTIONS, None), name, args)
    state = StateFolder.prepared(state_dir)
    with hold(state.lock):
        return _call(state, owned_store(state), name, args)


def owned_store(state: StateFolder) -> SettingsStore:
    """Open the settings as a gateway does at its start; for who holds the lock of the folder.

    Raises:
        OSError: Old settings could not be brought back; the next start would undo what is changed now.
    """
    ChangeBefore(state).put_back()
    SettingsBefore(state).put_back()
    store = SettingsStore(state.path, SECTIONS, None)
    watch_over(store)
    return store


def _call(state: StateFolder, store: SettingsStore, name: str, args: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    function = _functions(state, store).get(name)
    if function is None:
        raise NotRunning
    return function(**args)


def _functions(state: StateFolder, store: SettingsStore) -> Mapping[str, Callable[..., Any]]:
    clock = SystemClock()
    inbox = Inbox(state.inbox, lambda: store.get(InboxSettings), Bus(), clock)
    return {
        **Administration(store).functions(),
        **Backup(state=state, store=store, inbox=inbox, clock=clock, renewed=lambda: None).functions(),
        **OldDevice(state, store).functions(),
    }


def diagnose(state_dir: Path) -> list[dict[str, Any]]:
    """Check what can be checked without a gateway."""
    checks = [
        Check(
            name="gateway",
            level=Level.RED,
            finding="does not run in this state folder",
            advice=f"Start it: otppi serve --state-dir {state_dir}",
        ),
        diagnosis.check_clock(SystemClock().wall_is_trusted()),
    ]
    if state_dir.is_dir():
        state = StateFolder(state_dir)
        store = SettingsStore(state.path, SECTIONS, None)
        checks += [
            diagnosis.check_settings(sorted(store.problems)),
            storage.check(state.path),
        ]
    return [check.as_json() for check in checks]

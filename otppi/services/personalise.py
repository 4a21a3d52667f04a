"""What `otppi-first-boot.service` runs at every start: the device gets its secrets, its preset and its brochure.

Root writes the boot partition and the text for the screen; everything in the state folder is read and written with
the rights of its owner, and the preset file, which anybody could have written, is understood with those rights too.
Who may log in by SSH goes straight from that file to root's own folder: what the gateway's user can write, a taken
over gateway included, never says who becomes root.

Order: settings, born secrets, keys of SSH, mark, and only then the file is taken off the card. After a power cut the
next start goes on where this one was.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface
from pathlib import Path

from otppi.lib.atomicfile import write_atomically
from otppi.lib.filelock import AlreadyHeld, hold
from otppi.model.errors import SettingsError, SettingsNotSaved
from otppi.services import brochure, preset, preset_file
from otppi.services.brochure import Brochure
from otppi.services.first_boot import REPORT, Mark, Report, digest_of
from otppi.services.folders import StateFolder
from otppi.services.network_before import SettingsBefore
from otppi.services.rights import own_rights, rights_of_owner
from otppi.services.whole_change import ChangeBefore
from otppi.settings.store import SettingsStore
from otppi.system.network.born import BornSecrets, born
from otppi.system.network.settings import NetworkSettings, WlanSettings
from otppi.system.ssh import access
from otppi.web.settings import AdminSettings

log = logging.getLogger(__name__)

ISSUE = "otppi.issue"
_MARK = "first-boot.json"
_SECRETS = ("passphrase", "setup_secret")
_OTHER_SECRET = "the device has a set-up secret already; the one in otppi.toml was not taken"  # noqa: S105


@dataclass(frozen=True, kw_only=True)
class _Person:
    """What the state folder holds once everything in it is done."""

    screen: Brochure  # by presence: all that the device was born with
    mark: Mark
    is_on_card: bool = False  # whether the applied file is still to be taken off the card
    report: Report = field(default_factory=Report)

    @property
    def card(self) -> Brochure:
        """The same without what came by a preset, whose secrets are not to stay on the card."""
        secrets = ((name, getattr(self.screen, name)) for name in _SECRETS)
        hidden = {name: "" for name, value in secrets if self.mark.hides(name, value)}
        return replace(self.screen, findings=self.report.lines(), **hidden)


def personalise(
    state_dir: Path, boot_dir: Path, issue_dir: Path, ssh_dir: Path, report: Path = REPORT
) -> int:
    """Do what is not done yet; doing it again changes nothing.

    Of this process there may be one thread only.

    Args:
        state_dir: The state folder of the gateway, which does not run yet.
        boot_dir: The boot partition; where there is none, nothing is preset and no brochure is written.
        issue_dir: Where the text for the screen goes, a folder in RAM.
        ssh_dir: Who may log in by SSH; where there is none, that is not ours to say.
        report: Where the diagnosis reads what was done.

    Returns:
        An exit code: 0 also with a preset that is wrong; 1 if the device could not do its own part.
    """
    data, mistakes = _read(boot_dir)
    try:
        with rights_of_owner(state_dir):
            person = _make(StateFolder(state_dir), data, ssh_dir)
    except AlreadyHeld:
        return _fail("the gateway runs already; restart the device to apply a preset", issue_dir, report)
    except OSError as error:
        return _fail(f"the storage cannot be used ({error.strerror})", issue_dir, report)
    found = replace(person.report, mistakes={**mistakes, **person.report.mistakes})
    person = replace(person, report=found)
    if boot_dir.is_dir():
        found = replace(found, failures=found.failures + _on_card(boot_dir, person))
    text = brochure.issue(replace(person.screen, findings=found.lines()))
    unseen = _attempt("the text for the screen", lambda: write_atomically(issue_dir / ISSUE, text.encode()))
    _tell(replace(found, failures=found.failures + unseen), report)
    return 0


def _read(boot_dir: Path) -> tuple[bytes | None, dict[str, str]]:
    try:
        return preset_file.read(boot_dir), {}
    except SettingsError as error:
        return None, dict(error.errors)


def _make(state: StateFolder, data: bytes | None, ssh_dir: Path) -> _Person:
    """Apply what is to be applied and return what the device is like then."""
    mark = Mark.load(state.path / _MARK)
    with hold(state.lock):
        report, is_on_card = Report(), data is not None and digest_of(data) == mark.digest
        if data is not None and not is_on_card:
            try:
                # As the gateway will at its start; a preset must not be undone with it.
                ChangeBefore(state).put_back()
                SettingsBefore(state).put_back()
                mark, report, is_on_card = _applied(state, data, mark, ssh_dir)
            except SettingsNotSaved as error:
                report = Report(failures=(f"otppi.toml: {error}",))
            except SettingsError as error:
                report = Report(mistakes=dict(error.errors))
            except OSError as error:
                # A full storage must not cost the screen its passphrase; the next start tries again.
                report = Report(failures=(f"otppi.toml: could not be applied ({error.strerror})",))
        screen = _brochure(state, born(state.born))
    return _Person(screen=screen, mark=mark, is_on_card=is_on_card, report=report)


def _applied(state: StateFolder, data: bytes, mark: Mark, ssh_dir: Path) -> tuple[Mark, Report, bool]:
    """Apply a file that was not applied yet, and mark it."""
    wanted = preset.parse(data)
    if wanted.is_empty:
        return mark, Report(), False
    keys = wanted.ssh_keys
    with own_rights():
        if keys is not None and not ssh_dir.is_dir():
            raise SettingsError({"ssh_key": access.NOT_OURS})
    # All sections and their guards take a while to load, and only now they are needed.
    from otppi.services.sections import SECTIONS, watch_over

    store = SettingsStore(state.path, SECTIONS, None)
    watch_over(store)
    secrets = preset.apply(wanted, store, state.born)
    if keys is not None:
        with own_rights():
            access.allow_only(ssh_dir, keys)
    came = {name: value for name, value in wanted.born.items() if getattr(secrets, name) == value}
    hidden = {name: digest_of(came[name].encode()) for name in _SECRETS if name in came}
    mark = Mark(digest=digest_of(data), note=wanted.note(), hidden={**mark.hidden, **hidden})
    mark.save(state.path / _MARK)
    log.info("the preset was applied", extra={"fields": {"names": ", ".join(wanted.given)}})
    is_other = "setup_secret" in wanted.born and "setup_secret" not in came
    return mark, Report(has_applied=True, failures=(_OTHER_SECRET,) if is_other else ()), True


def _brochure(state: StateFolder, secrets: BornSecrets) -> Brochure:
    store = SettingsStore(state.path, (WlanSettings, NetworkSettings, AdminSettings), None, read_only=True)
    wlan, port = store.get(WlanSettings), store.get(AdminSettings).http_port
    changed = wlan.ssid not in ("", secrets.ssid) or wlan.passphrase not in ("", secrets.passphrase)
    return Brochure(
        ssid=secrets.ssid,
        passphrase=secrets.passphrase,
        setup_secret=secrets.setup_secret,
        page=f"http://{IPv4Interface(wlan.address).ip}:{port}",
        local_page=f"http://{store.get(NetworkSettings).hostname.lower()}.local:{port}",
        present_ssid=(wlan.ssid or secrets.ssid) if changed else "",
    )


def _on_card(boot_dir: Path, person: _Person) -> tuple[str, ...]:
    """Take the applied file off the card and bring the brochure there; returns what could not be done."""
    failures = _attempt("otppi.toml on the card", lambda: preset_file.finish(boot_dir, person.mark.note))
    if person.is_on_card:
        failures += _attempt("otppi.toml on the card", lambda: preset_file.retire(boot_dir, person.mark.note))
    failures += _attempt("the brochure on the card", lambda: brochure.write(boot_dir, person.card))
    return failures


def _attempt(what: str, do: Callable[[], object]) -> tuple[str, ...]:
    try:
        do()
    except OSError as error:
        return (f"{what} could not be written ({error.strerror})",)
    return ()


def _fail(reason: str, issue_dir: Path, report: Path) -> int:
    found = Report(failures=(reason,))
    text = brochure.plain_issue(found.lines())
    if not (issue_dir / ISSUE).exists():
        _attempt("the text for the screen", lambda: write_atomically(issue_dir / ISSUE, text.encode()))
    _tell(found, report)
    return 1


def _tell(found: Report, report: Path) -> None:
    for line in found.lines():
        log.warning("%s", line)
    for failure in _attempt("the report", lambda: found.save(report)):
        log.error("%s", failure)

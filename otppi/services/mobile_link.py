"""What `otppi-mobile.service` runs: it makes a modem ready, then becomes pppd."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from otppi.lib.atomicfile import write_atomically
from otppi.lib.wakeup import Wakeup
from otppi.model.mobile import MobileLink
from otppi.modems import introduction
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.introduction import SimBlocked
from otppi.modems.matching import is_another, stranger_at
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.settings import ModemSettings
from otppi.modems.transport import PortGone, SerialTransport
from otppi.services.folders import StateFolder
from otppi.services.rights import rights_of_owner
from otppi.settings.store import SettingsStore
from otppi.system.mobile import peer
from otppi.system.mobile.endings import Ending

log = logging.getLogger(__name__)

PPPD = "/usr/sbin/pppd"


def links_of(modems: Mapping[str, ModemSettings]) -> tuple[MobileLink, ...]:
    """Return how the modems dial that are kept for internet; the first is the one that does."""
    return tuple(
        MobileLink(
            modem_id=modem_id,
            modem_name=modem.name,
            device=modem.device,
            baud_rate=modem.baud_rate,
            apn=modem.apn,
            username=modem.apn_username,
            password=modem.apn_password,
            init_commands=tuple(
                command
                for command in (
                    modem.init_dial_1,
                    modem.init_dial_2,
                    modem.init_dial_3,
                    modem.init_dial_4,
                    modem.init_dial_5,
                )
                if command
            ),
            dial_command=modem.dial_command,
            dial_number=modem.dial_number,
            reconnects=modem.autoreconnect,
        )
        for modem_id, modem in modems.items()
        if modem.active and modem.internet_access
    )


def dial(state_dir: Path, runtime_dir: Path) -> int:
    """Become pppd on the first modem that is kept for internet; to be called as root by the unit.

    What belongs to the gateway's user is read and written with that user's rights, so that nothing in its folder
    can lead root elsewhere.

    Args:
        state_dir: The state folder of the gateway.
        runtime_dir: A folder of this unit on a RAM file system, closed to others, and kept while systemd starts
            the unit anew by itself but not when it is stopped.

    Returns:
        An exit code of `Ending`; it returns only if pppd was not started.
    """
    with rights_of_owner(state_dir):
        modems = SettingsStore(state_dir, (ModemSettings,), None, read_only=True).items(ModemSettings)
        links = links_of(modems)
        if not links or _was_the_only_call(links[0], runtime_dir):
            return Ending.NOTHING_TO_DO
        if (ending := _made_ready(links[0], modems[links[0].modem_id], state_dir)) is not None:
            return ending
    try:
        options = write_texts(links[0], runtime_dir)
    except peer.BadLink as error:
        log.error("mobile internet cannot be set up so", extra={"fields": {"reason": str(error)}})  # noqa: TRY400
        return Ending.BAD_SETTINGS
    _note_call(runtime_dir)
    log.info("dialling", extra={"fields": {"modem": links[0].modem_name}})
    os.execv(PPPD, [PPPD, "file", str(options)])  # noqa: S606 - fixed arguments, no shell


def write_texts(link: MobileLink, folder: Path) -> Path:
    """Write what pppd and chat read, for root alone, and return the file with the options.

    Raises:
        BadLink: See `peer`.
    """
    options, chat = folder / "options", folder / "chat"
    write_atomically(chat, peer.chat(link).encode())
    write_atomically(options, peer.options(link, chat).encode())
    return options


def _was_the_only_call(link: MobileLink, runtime_dir: Path) -> bool:
    return not link.reconnects and _mark(runtime_dir).exists()


def _note_call(runtime_dir: Path) -> None:
    _mark(runtime_dir).touch()


def _mark(runtime_dir: Path) -> Path:
    return runtime_dir / "has-dialled"


def _made_ready(link: MobileLink, settings: ModemSettings, state_dir: Path) -> Ending | None:
    """See that no one else holds the port and that the SIM is unlocked; None if it may dial."""
    bell = Wakeup()
    try:
        transport = SerialTransport(settings.device, settings.line, bell)
        try:
            channel = Channel(transport, lambda _: None)
            introduction.set_up(channel)
            if link.is_gsm:
                refused = RefusedPins(StateFolder(state_dir).refused_pins)
                family, own = introduction.meet(channel)
                if is_another(settings, own.imei):
                    raise PortGone(stranger_at(settings.device, settings, own.imei))
                introduction.unlock(
                    channel, link.modem_id, settings.sim_pin, refused, family, iccid=settings.iccid
                )
        finally:
            transport.close()
    except SimBlocked as error:
        return _not_ready(link, error, Ending.SIM_BLOCKED)
    except (PortGone, NoAnswer, AtRefused) as error:
        return _not_ready(link, error, Ending.MODEM_UNUSABLE)
    finally:
        bell.close()
    return None


def _not_ready(link: MobileLink, error: Exception, ending: Ending) -> Ending:
    log.warning("the modem cannot dial", extra={"fields": {"modem": link.modem_name, "reason": str(error)}})
    return ending

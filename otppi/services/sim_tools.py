"""The SIM and IMEI tools as the command line sees them: at the modem, and in its settings."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from otppi.gateway.policy import GeneralSettings
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.model.errors import BadRequest, ModemUnavailable, SettingsError, SimToolError, UnknownModem
from otppi.modems import introduction, parse, sim_tools
from otppi.modems.errand import Conversation
from otppi.modems.pool import ModemPool
from otppi.modems.refused_pins import RefusedPins, SpentTries
from otppi.modems.settings import ModemSettings
from otppi.services.jobs import Jobs, Progress
from otppi.settings.store import SettingsStore

log = logging.getLogger(__name__)

T = TypeVar("T")

# A modem may have a message in hand first.
_BEGIN_LIMIT_S = 60.0
_ANSWER_LIMIT_S = 5.0


class SimTools:
    """What a person does at one SIM or modem; every method may be called from any thread, and waits for it.

    Modems are called by name or id; every method raises OtpPiError with a reason for a person.

    The SIM is told first and the settings second, on the modem's thread. Where the power goes between the two, the
    old PIN is tried once at the next start, refused, and not tried again.
    """

    def __init__(
        self, store: SettingsStore, pool: ModemPool, refused: RefusedPins, jobs: Jobs, clock: Clock
    ) -> None:
        self._store = store
        self._pool = pool
        self._refused = refused
        self._jobs = jobs
        self._clock = clock

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that command line and pages may make."""
        return {
            "modem.test": self.begin_test,
            "sim.scan": self.begin_scan,
            "sim.register": self.begin_registering,
            "sim.show": self.show,
            "sim.pin.enter": self.enter_pin,
            "sim.pin.set": self.set_pin,
            "sim.pin.change": self.change_pin,
            "sim.pin.remove": self.remove_pin,
            "sim.unblock": self.unblock,
            "sim.center": self.sms_center,
            "sim.operators": self.operators,
            "sim.operator": self.choose_operator,
            "sim.imei": self.write_imei,
        }

    def begin_test(self, modem: str, by: str = "") -> str:
        """Begin to test whether a modem answers, and what it tells of itself; returns the id of the job."""
        modem_id = self._id_of(modem)
        return self._begin(modem_id, "Test of {}", by, lambda: self._tested(modem_id))

    def begin_scan(self, modem: str, by: str = "") -> str:
        """Begin to look which operators are in reach, which takes minutes; returns the id of the job."""
        modem_id = self._id_of(modem)
        return self._begin(
            modem_id, "Operators in reach of {}", by, lambda: {"operators": self.operators(modem_id)}
        )

    def begin_registering(self, modem: str, code: str, by: str = "") -> str:
        """Begin to do what `sim.operator` does, which may take minutes; returns the id of the job."""
        modem_id = self._id_of(modem)
        _check_operator(code)

        def register() -> dict[str, Any]:
            self.choose_operator(modem_id, code)
            return {"code": code}

        return self._begin(modem_id, "Choice of an operator for {}", by, register)

    def show(self, modem: str) -> dict[str, Any]:
        """Return what a modem tells of its SIM and its radio; numbers that name the SIM by their ends."""
        modem_id = self._id_of(modem)
        report = self._converse(modem_id, _looked)
        return {**self._told(modem_id, report), "number": report.number}

    def _tested(self, modem_id: str) -> dict[str, Any]:
        def test(talk: Conversation) -> tuple[float, sim_tools.SimReport]:
            began_s = self._clock.boot_s()
            talk.channel.command("AT", timeout_s=_ANSWER_LIMIT_S)
            return self._clock.boot_s() - began_s, _looked(talk)

        answered_in_s, report = self._converse(modem_id, test)
        identity = report.identity
        return {
            "answered_in_s": answered_in_s,
            "manufacturer": identity.manufacturer,
            "model": identity.model,
            "revision": identity.revision,
            "imei": _end(identity.imei),
            **self._told(modem_id, report),
        }

    def _told(self, modem_id: str, report: sim_tools.SimReport) -> dict[str, Any]:
        status = next((one for one in self._pool.snapshot() if one.id == modem_id), None)
        identity, tries, signal = report.identity, report.tries, report.signal
        return {
            "sim": report.state.value,
            "is_pin_set": report.is_pin_set,
            "pin_tries": tries.pin if tries else None,
            "puk_tries": tries.puk if tries else None,
            "iccid": _end(identity.iccid),
            "imsi": _end(identity.imsi),
            "sms_center": identity.sms_center,
            "operator": identity.operator,
            "is_operator_chosen": report.is_operator_chosen,
            "registration": report.registration.value,
            "signal_dbm": signal.rssi_dbm if signal else None,
            "signal": signal.condition if signal else "",
            "store_fill": status.store_fill if status else None,
        }

    def enter_pin(self, modem: str, pin: str) -> None:
        """Enter the PIN that the SIM waits for; the settings keep it."""
        modem_id = self._id_of(modem)
        _check_pin(pin)

        def enter(talk: Conversation) -> None:
            sim_tools.enter_pin(talk.channel, talk.family, self._spent(modem_id, talk), pin)
            self._keep_pin(modem_id, pin)

        self._change(modem_id, enter, "PIN entered")

    def set_pin(self, modem: str, pin: str) -> None:
        """Let the SIM ask for the PIN that it has; the settings keep it."""
        modem_id = self._id_of(modem)
        _check_pin(pin)

        def set_it(talk: Conversation) -> None:
            sim_tools.set_pin(talk.channel, talk.family, self._spent(modem_id, talk), pin)
            self._keep_pin(modem_id, pin)

        self._change(modem_id, set_it, "PIN set")

    def change_pin(self, modem: str, pin: str, new_pin: str) -> None:
        """Give the SIM another PIN; the settings keep it. An empty `pin` is that of the settings."""
        modem_id = self._id_of(modem)
        pin = self._present_pin(modem_id, pin)
        _check_pin(pin)
        _check_pin(new_pin)

        def change(talk: Conversation) -> None:
            sim_tools.change_pin(talk.channel, talk.family, self._spent(modem_id, talk), pin, new_pin)
            self._keep_pin(modem_id, new_pin)

        self._change(modem_id, change, "PIN changed")

    def remove_pin(self, modem: str, pin: str) -> None:
        """Let the SIM ask for no PIN. An empty `pin` is that of the settings."""
        modem_id = self._id_of(modem)
        pin = self._present_pin(modem_id, pin)
        _check_pin(pin)

        def remove(talk: Conversation) -> None:
            sim_tools.remove_pin(talk.channel, talk.family, self._spent(modem_id, talk), pin)
            self._keep_pin(modem_id, "")

        self._change(modem_id, remove, "PIN removed")

    def unblock(self, modem: str, puk: str, new_pin: str) -> None:
        """Open a blocked SIM by its PUK and give it a new PIN; the settings keep that."""
        modem_id = self._id_of(modem)
        if not re.fullmatch("[0-9]{8}", puk):
            raise BadRequest("PUK", "has eight digits")
        _check_pin(new_pin)

        def unblock(talk: Conversation) -> None:
            sim_tools.unblock(talk.channel, talk.family, self._spent(modem_id, talk), puk, new_pin)
            self._keep_pin(modem_id, new_pin)

        self._change(modem_id, unblock, "SIM unblocked")

    def sms_center(self, modem: str, number: str | None) -> str:
        """Return the number of the SMS centre, after setting it if one is given."""
        modem_id = self._id_of(modem)
        if number is None:
            return self._converse(modem_id, lambda talk: sim_tools.sms_center(talk.channel))
        if not re.fullmatch(r"\+?[0-9]{3,20}", number):
            raise BadRequest("number", "is no number of an SMS centre, such as +6281100000")
        self._change(modem_id, lambda talk: sim_tools.set_sms_center(talk.channel, number), "SMS centre set")
        return number

    def operators(self, modem: str) -> Sequence[Mapping[str, str]]:
        """Return the operators in reach; takes minutes, in which this modem sends nothing."""
        found = self._converse(
            self._id_of(modem), lambda talk: sim_tools.operators(talk.channel), takes_long=True
        )
        return [vars(one) for one in found]

    def choose_operator(self, modem: str, code: str) -> None:
        """Register with an operator by its code, or leave the choice to the modem with an empty one."""
        _check_operator(code)
        self._change(
            self._id_of(modem),
            lambda talk: sim_tools.choose_operator(talk.channel, code),
            f"operator {code or 'left to the modem'}",
            takes_long=True,
        )

    def write_imei(self, modem: str, imei: str) -> None:
        """Give a modem another IMEI, by which the settings know it from then on, and start it anew."""
        modem_id = self._id_of(modem)
        if not self._store.get(GeneralSettings).imei_writing:
            raise SimToolError(
                "writing an IMEI is switched off, because the law of many countries forbids it; where it does not: "
                "otppi settings set general.imei_writing true"
            )
        if not parse.is_whole_imei(imei):
            raise BadRequest("IMEI", "has fifteen digits, and the last one checks the others; one is wrong")
        others = {key: one for key, one in self._store.items(ModemSettings).items() if key != modem_id}
        if taken := [one.name for one in others.values() if one.imei == imei]:
            raise SimToolError(f"that is the IMEI of {taken[0]}, and modems are known by it")
        is_written = False

        def write(talk: Conversation) -> None:
            nonlocal is_written
            if talk.identity.imei == imei:
                raise SimToolError("it is the IMEI of this modem already")
            sim_tools.write_imei(talk.channel, talk.family, imei)
            self._keep(modem_id, imei=imei)
            is_written = True
            sim_tools.restart(talk.channel, talk.family)

        try:
            self._converse(modem_id, write, takes_long=True)
        except ModemUnavailable:
            if not is_written:
                raise
        self._log(modem_id, f"IMEI {_end(imei)} written")

    def _begin(self, modem_id: str, title: str, user: str, work: Callable[[], dict[str, Any]]) -> str:
        name = self._store.items(ModemSettings)[modem_id].name

        def do(progress: Progress) -> dict[str, Any]:
            progress.say("the modem works on it")
            return work()

        return self._jobs.start(title.format(name), user, do, modem_id)

    def _converse(self, modem_id: str, action: Callable[[Conversation], T], *, takes_long: bool = False) -> T:
        deadline = Deadline.after(self._clock, _BEGIN_LIMIT_S)
        return self._pool.converse(modem_id, action, deadline, takes_long=takes_long)

    def _change(
        self,
        modem_id: str,
        action: Callable[[Conversation], None],
        done: str,
        *,
        takes_long: bool = False,
    ) -> None:
        self._converse(modem_id, action, takes_long=takes_long)
        self._log(modem_id, done)

    def _log(self, modem_id: str, done: str) -> None:
        name = self._store.items(ModemSettings)[modem_id].name
        log.info("a person changed a SIM or modem", extra={"fields": {"modem": name, "done": done}})

    def _spent(self, modem_id: str, talk: Conversation) -> SpentTries:
        return introduction.spent_tries(talk.channel, modem_id, self._refused, talk.family)

    def _present_pin(self, modem_id: str, pin: str) -> str:
        return pin or self._store.items(ModemSettings)[modem_id].sim_pin

    def _keep_pin(self, modem_id: str, pin: str) -> None:
        # It is that of the SIM which is in now, whose number is learned anew.
        self._keep(modem_id, sim_pin=pin, iccid="")

    def _keep(self, modem_id: str, **values: str) -> None:
        try:
            self._store.put(ModemSettings, modem_id, values)
        except SettingsError as error:
            name = f"modems.{modem_id}.{next(iter(values))}"
            raise SimToolError(
                f"it was done, but {name} could not be kept; set it by hand: {error}"
            ) from error

    def _id_of(self, modem: str) -> str:
        modems = self._store.items(ModemSettings)
        if modem in modems:
            return modem
        named = [modem_id for modem_id, one in modems.items() if one.name == modem]
        if len(named) > 1:
            raise BadRequest("modem", "several have this name; give the id")
        if not named:
            raise UnknownModem("there is no such modem")
        return named[0]


def _looked(talk: Conversation) -> sim_tools.SimReport:
    return sim_tools.look(talk.channel, talk.family, talk.identity)


def _check_operator(code: str) -> None:
    if not re.fullmatch("([0-9]{5,6})?", code):
        raise BadRequest("operator", "a code has five or six digits, such as 51010")


def _check_pin(pin: str) -> None:
    if not re.fullmatch("[0-9]{4,8}", pin):
        raise BadRequest("PIN", "has four to eight digits")


def _end(digits: str) -> str:
    return f"…{digits[-4:]}" if digits else ""

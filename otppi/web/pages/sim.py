"""The SIM card, the radio and the serial number of one modem, and what is asked of them that takes long."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from otppi.gateway.policy import IMEI_WARNING
from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, OtpPiError
from otppi.web import modem_words
from otppi.web.pages.modems import live, path_of
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Something that is done at the SIM or modem by one form."""

    function: str
    fields: tuple[str, ...]  # of the form, each an argument of the function
    done: str


TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        "enter": Tool(function="sim.pin.enter", fields=("pin",), done=N_("The PIN was right and is kept.")),
        "set": Tool(
            function="sim.pin.set", fields=("pin",), done=N_("The SIM card asks for its PIN from now on.")
        ),
        "change": Tool(
            function="sim.pin.change",
            fields=("pin", "new_pin"),
            done=N_("The SIM card has its new PIN, and it is kept."),
        ),
        "drop": Tool(
            function="sim.pin.remove", fields=("pin",), done=N_("The SIM card asks for no PIN any more.")
        ),
        "unblock": Tool(
            function="sim.unblock",
            fields=("puk", "new_pin"),
            done=N_("The SIM card is open and has its new PIN."),
        ),
        "center": Tool(function="sim.center", fields=("number",), done=N_("The SMS centre is set.")),
        "imei": Tool(
            function="sim.imei", fields=("imei",), done=N_("The IMEI is written, and the modem starts anew.")
        ),
    }
)
_REPEATED = "new_pin"


def show(visit: Visit, modem: str) -> Response:
    """Ask the modem, and show what it tells of its SIM and its radio."""
    return _drawn(visit, modem)


def do(visit: Visit, modem: str, what: str) -> Response:
    """Do one of `TOOLS`."""
    tool = TOOLS[what]
    try:
        if _REPEATED in tool.fields and visit.form(_REPEATED) != visit.form("repeated"):
            raise BadRequest("", "the two new PINs are not the same")
        if what == "imei" and not visit.ticked("is_sure"):
            raise BadRequest("", "please confirm that you may do this")
        visit.call(tool.function, modem=modem, **{name: visit.form(name).strip() for name in tool.fields})
    except OtpPiError as error:
        return _drawn(visit, modem, status=error.status, what=what, error=visit.error_text(error))
    return visit.redirect(f"{path_of(modem)}/sim", visit.words(tool.done))


def redial(visit: Visit, modem: str) -> Response:
    """Dial mobile internet anew."""
    visit.call("mobile.redial")
    return visit.redirect(f"{path_of(modem)}/sim", visit.words("The modem dials anew."))


def test(visit: Visit, modem: str) -> Response:
    """Begin a test of the modem."""
    return visit.redirect(_job_path(modem, visit.call("modem.test", modem=modem)))


def scan(visit: Visit, modem: str) -> Response:
    """Begin to look for operators."""
    return visit.redirect(_job_path(modem, visit.call("sim.scan", modem=modem)))


def register(visit: Visit, modem: str) -> Response:
    """Begin to register with an operator, or to leave that to the modem."""
    return visit.redirect(_job_path(modem, visit.call("sim.register", modem=modem, code=visit.form("code"))))


def job(visit: Visit, modem: str, job_id: str) -> Response:
    """Show how far long work is, and what came of it."""
    one = live(visit, modem)
    work = visit.call("job.show", job_id=job_id)
    result = work.get("result") or {}
    return visit.page(
        "modem_job.html",
        title=visit.words.said(work["title"]),
        modem=one,
        path=path_of(modem),
        work=work,
        result=result,
        **_signal(visit, result),
    )


def _drawn(visit: Visit, modem: str, status: int = 200, what: str = "", error: str = "") -> Response:
    one = live(visit, modem)
    report: Mapping[str, Any] = {}
    silence = ""
    try:
        report = visit.call("sim.show", modem=modem)
    except OtpPiError as refused:
        silence = visit.error_text(refused)
    return visit.page(
        "sim.html",
        status=status,
        title=visit.words("SIM card of {name}", name=one["name"]),
        modem=one,
        path=path_of(modem),
        standing=modem_words.standing(one),
        report=report,
        silence=silence,
        what=what,
        error=error,
        writes_imei=visit.can("sim.imei") and visit.call("settings.get", path="general.imei_writing"),
        imei_warning=visit.words.said(IMEI_WARNING),
        **_signal(visit, report),
    )


def _signal(visit: Visit, report: Mapping[str, Any]) -> dict[str, Any]:
    condition, dbm = report.get("signal", ""), report.get("signal_dbm")
    return {
        "bars": modem_words.bars(condition),
        "signal": modem_words.signal_text(visit.words, condition, dbm),
    }


def _job_path(modem: str, job_id: str) -> str:
    return f"{path_of(modem)}/job/{job_id}"


_ONE = "/modems/<modem:re:[^/]+>"
ROUTES = (
    get(f"{_ONE}/sim", show, Role.OPERATOR),
    post(f"{_ONE}/sim/<what:re:{'|'.join(TOOLS)}>", do, Role.OPERATOR),
    post(f"{_ONE}/redial", redial, Role.OPERATOR),
    post(f"{_ONE}/test", test, Role.OPERATOR),
    post(f"{_ONE}/scan", scan, Role.OPERATOR),
    post(f"{_ONE}/register", register),
    get(f"{_ONE}/job/<job_id:re:[0-9a-f]+>", job, Role.OPERATOR),
)

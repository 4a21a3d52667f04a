"""What goes back on the wire: one JSON object for every outcome, the same at every door."""

import math
from collections.abc import Mapping
from typing import Any

from otppi.model.errors import BadRequest, OtpPiError
from otppi.model.modems import ModemState, ModemStatus
from otppi.model.requests import Echo, Request
from otppi.model.results import ModemList, OtpSent, Result, SmsReceipt, UssdReply

SUCCESS = "0000"


def success(request: Request, result: Result) -> dict[str, Any]:
    """Describe what was done."""
    if isinstance(request, Echo):
        return dict(request.document)
    return {
        "command": request.command,
        "response_code": SUCCESS,
        "data": {**request.echo, **_data(result)},
    }


def failure(command: str, error: OtpPiError, echo: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Describe what was refused or failed, and what the caller can do."""
    data: dict[str, Any] = dict(echo or {})
    if error.retry_after_s is not None:
        data["retry_after"] = math.ceil(error.retry_after_s)
    answer: dict[str, Any] = {
        "command": command,
        "response_code": error.code,
        "error": str(error),
        "data": data,
    }
    if isinstance(error, BadRequest) and error.field:
        answer["field"] = error.field
    return answer


def _data(result: Result) -> dict[str, Any]:
    match result:
        case SmsReceipt():
            # `modemID` and `result` are the old product's names.
            return {
                "modemID": result.modem_id,
                "result": ", ".join(f"+CMGS: {reference}" for reference in result.references),
                "parts": result.parts,
                "message_id": result.message_id,
            }
        case OtpSent():
            return {
                "parts": result.receipt.parts,
                "expires_in": result.life_s,
                "message_id": result.receipt.message_id,
            }
        case ModemList():
            return {"modem_list": {one.id: modem(one) for one in result.modems}}
        case UssdReply():
            # Documents and code of the old product name the text differently; clients read either.
            return {
                "ussd_response": result.text,
                "ussd_content": result.text,
                "ussd_content_raw": result.raw,
                "replyable": result.expects_reply,
            }
        case _:
            return {}


def modem(modem: ModemStatus) -> dict[str, Any]:
    """Describe one modem in the words of the old product."""
    identity, signal = modem.identity, modem.signal
    return {
        "id": modem.id,
        "name": modem.name,
        "port": modem.port,
        "connected": modem.state
        in {ModemState.SEARCHING, ModemState.READY, ModemState.BUSY, ModemState.HUNG},
        "state": modem.state.value,
        "reason": modem.reason,
        "registration": modem.registration.value,
        "active": modem.active,
        "defaultModem": modem.is_default,
        "internetAccess": modem.internet_access,
        "internetConnected": False,
        "imei": identity.imei,
        "imsi": identity.imsi,
        "iccid": identity.iccid,
        "copsOperator": identity.operator,
        "smsCenter": identity.sms_center,
        "signalStrength": {}
        if signal is None
        else {
            "value": signal.csq,
            "rssi": signal.rssi_dbm,
            "condition": signal.condition,
            "class": signal.condition.lower(),
            "ber": signal.bit_error_rate,
        },
    }

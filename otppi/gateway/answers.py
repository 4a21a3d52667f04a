"""What goes back on the wire: one JSON object for every outcome, the same at every door."""

import math
from collections.abc import Mapping
from typing import Any

from otppi.model.errors import BadRequest, OtpPiError
from otppi.model.events import Channel
from otppi.model.modems import ModemState, ModemStatus
from otppi.model.requests import Echo, Request
from otppi.model.results import MailReceipt, ModemList, OtpSent, Receipt, Result, SmsReceipt, UssdReply

SUCCESS = "0000"
# Word for word what the old product answered, spelling included.
_MAIL_SENT = "The message was sent successfuly"


def success(request: Request, result: Result) -> dict[str, Any]:
    """Describe what was done."""
    if isinstance(request, Echo):
        return dict(request.document)
    answer = {
        "command": request.command,
        "response_code": SUCCESS,
        "data": {**request.echo, **_data(result)},
    }
    if isinstance(result, MailReceipt):
        answer["message"] = _MAIL_SENT
    return answer


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
                **_way(result),
                "modemID": result.modem_id,
                "result": ", ".join(f"+CMGS: {reference}" for reference in result.references),
                "parts": result.parts,
                "message_id": result.message_id,
            }
        case MailReceipt():
            return {**_way(result), "account": result.account_name, "message_id": result.message_id}
        case OtpSent(receipt=receipt):
            return {
                **_way(receipt),
                **({"parts": receipt.parts} if isinstance(receipt, SmsReceipt) else {}),
                "expires_in": result.life_s,
                "message_id": receipt.message_id,
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


def _way(receipt: Receipt) -> dict[str, Any]:
    """Say how a message went, and to which of its receivers."""
    channel = Channel.SMS if isinstance(receipt, SmsReceipt) else Channel.EMAIL
    return {"channel": channel.value, "fallback": receipt.fallback}


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

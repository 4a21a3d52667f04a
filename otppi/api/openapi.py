"""The OpenAPI 3.1 description of the REST API, made from the declarations that the gateway itself reads."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import otppi
from otppi.gateway.answers import SUCCESS
from otppi.gateway.arguments import Argument
from otppi.gateway.commands import COMMANDS, Command
from otppi.gateway.repeats import LONGEST_MEMORY_S, MEMORY_WITHOUT_END_S
from otppi.model import errors
from otppi.model.errors import OtpPiError
from otppi.model.events import Channel
from otppi.model.modems import ModemState, Registration

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_YES_OR_NO: Json = {"type": "boolean"}
_ANSWER: Json = {"$ref": "#/components/schemas/Answer"}
_SECONDS: Json = {"type": "integer", "minimum": 1}
_WAIT_S = 30  # stands in examples where an answer says how long to wait

# What the gateway may raise for any command; `OutcomeUnknown` also stands for a fault of the gateway itself.
_ANY_COMMAND: tuple[type[OtpPiError], ...] = (
    errors.BadRequest,
    errors.Unauthorized,
    errors.TooManyRequests,
    errors.OutcomeUnknown,
    errors.Busy,
)
_EMAIL = (errors.MessageExpired, errors.NoEmailAccount, errors.QuotaUsedUp)
_SMS = (
    errors.MessageExpired,
    errors.NumberBlocked,
    errors.QuotaUsedUp,
    errors.NoModemAvailable,
    errors.SendFailed,
)
_COMMAND_ERRORS: Mapping[str, tuple[type[OtpPiError], ...]] = {
    "request-otp": (errors.DuplicateReference, *_SMS, errors.NoEmailAccount),
    "verify-otp": (errors.OtpInvalid, errors.OtpExpired, errors.OtpTooManyTries),
    "send-sms": (*_SMS, errors.UnknownModem),
    "send-message": (*_SMS, errors.UnknownModem, errors.NoEmailAccount),
    "send-email": _EMAIL,
    "send-mail": _EMAIL,
    "block-msisdn": (errors.SettingsNotSaved,),
    "unblock-msisdn": (errors.SettingsNotSaved,),
    "request-ussd": (errors.UnknownModem, errors.UssdFailed),
    "cancel-ussd": (errors.UnknownModem, errors.UssdFailed),
}

# The declaration of `receiver` serves numbers and addresses; its example is a number.
_EMAIL_EXAMPLES = {"send-email": "person@example.com", "send-mail": "person@example.com"}

_MAIL_MESSAGE: Json = {
    "type": "string",
    "description": "The old product's words, of e-mail alone; read `response_code` instead.",
}

_ECHO: Json = {
    "reference": _TEXT,
    "receiver": _TEXT,
    "date_time": {"type": ["number", "string"], "description": "As it came; empty if there was none."},
}
_PARTS: Json = {
    **_COUNT,
    "description": "Messages on the air that the text took; operators charge each.",
    "examples": [1],
}
_MESSAGE_ID: Json = {
    **_TEXT,
    "description": "The gateway's own name for the message: the log has it, and the delivery report will.",
    "examples": ["9f86d081884c7d659a2feaa0c55ad015"],
}
_WAY: Json = {
    "channel": {"type": "string", "enum": [one.value for one in Channel], "description": "How it went."},
    "fallback": {**_COUNT, "description": "To whom it went: 0 is `receiver`, 1 the first of `fallback`."},
}
# With a fallback any command that sends may have sent either.
_SENT: Json = {
    **_WAY,
    "account": {**_TEXT, "description": "The e-mail account that sent it."},
    "modemID": {**_TEXT, "description": "The modem that sent it."},
    "result": {
        **_TEXT,
        "description": "The modem's confirmation of each part.",
        "examples": ["+CMGS: 17, +CMGS: 18"],
    },
    "parts": _PARTS,
    "message_id": _MESSAGE_ID,
}
_MODEM: Json = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "name": _TEXT,
        "port": _TEXT,
        "connected": _YES_OR_NO,
        "state": {"type": "string", "enum": [state.value for state in ModemState]},
        "reason": {**_TEXT, "description": "Why it is in this state, in words for people; mostly empty."},
        "registration": {
            "type": "string",
            "enum": [registration.value for registration in Registration],
            "description": "Whether the network has it.",
        },
        "active": {**_YES_OR_NO, "description": "Whether the owner switched it on."},
        "defaultModem": {**_YES_OR_NO, "description": "Whether it takes numbers that no prefix matches."},
        "internetAccess": _YES_OR_NO,
        "internetConnected": _YES_OR_NO,
        "imei": _TEXT,
        "imsi": _TEXT,
        "iccid": _TEXT,
        "copsOperator": _TEXT,
        "smsCenter": _TEXT,
        "signalStrength": {
            "type": "object",
            "description": "Empty while nothing is known.",
            "properties": {
                "value": {**_COUNT, "description": "As AT+CSQ reports it (3GPP TS 27.007, 8.5)."},
                "rssi": {"type": "integer", "description": "Received power in dBm."},
                "condition": {"type": "string", "enum": ["Marginal", "OK", "Good", "Excellent"]},
                "class": {**_TEXT, "description": "The condition in lower case."},
                "ber": {**_COUNT, "description": "Bit error rate, as AT+CSQ reports it."},
            },
        },
    },
}
_ANSWER_DATA: Mapping[str, Json] = {
    "request-otp": {
        **_ECHO,
        **_WAY,
        "parts": _PARTS,
        "expires_in": {
            **_COUNT,
            "description": "Life of the code in seconds, counted from when it was made.",
            "examples": [300],
        },
        "message_id": _MESSAGE_ID,
    },
    "verify-otp": _ECHO,
    "send-sms": _SENT,
    "send-message": _SENT,
    "send-email": _SENT,
    "send-mail": _SENT,
    "get-modem-list": {
        "modem_list": {
            "type": "object",
            "description": "The modems by their ids.",
            "additionalProperties": {"$ref": "#/components/schemas/Modem"},
        }
    },
    "request-ussd": {
        "date_time": _ECHO["date_time"],
        "modem_id": _TEXT,
        "ussd_code": _TEXT,
        "ussd_response": {**_TEXT, "description": "What the network said."},
        "ussd_content": {**_TEXT, "description": "The same, under its other name."},
        "ussd_content_raw": {**_TEXT, "description": "The modem's line as it came."},
        "replyable": {
            **_YES_OR_NO,
            "description": "Whether the network waits for a reply: send it as the `ussd_code` of the next request. "
            "Until then the session is this user's alone.",
        },
    },
    "cancel-ussd": {"date_time": _ECHO["date_time"], "modem_id": _TEXT},
}

_PROSE = """\
OTP-Pi sends one-time passwords and other messages by SMS through the modems of the device that answers here.
Log in with the name and password of an API user (HTTP Basic). **Whatever is executed from this page is done
for real: messages go out, and may cost money.**

## Two ways in

`POST /api/v1/COMMAND` takes the fields of the command as a JSON object and answers with a proper HTTP status.
New programs use these paths.

`{path}` and the other paths of the compatible API take `{{"command": ..., "data": {{...}}}}` and answer with
status 200 whatever came of it; only `response_code` tells. Any command works on any of them.

`Content-Type` is not looked at. Numbers are accepted where texts are expected. Times are Unix times in
seconds; values from 100000000000 on are taken as milliseconds. Fields that are not named here are ignored.

## How to read an outcome

* **`0000` means done.** For a message it means that a modem got `+CMGS`, the network's confirmation, for
  every part; for an e-mail that a server took it. It does not mean that the person has seen it.
* **`1408` means that nobody knows.** A modem was given the message and never said what became of it, so it
  may have arrived. Do not repeat it blindly, and do not let a library do so: a person might get it twice. A
  code whose outcome is unknown is live and is accepted if it arrives; otherwise ask for one with a new
  reference. `1408` with the error `internal error` is a fault of the gateway and promises as little.
* **Every other code means that no message left**, and that the request may be made again when its cause is
  gone. If the answer has `data.retry_after`, wait so many seconds; the status is then 429 or 503, with the
  same number in the header `Retry-After`. Only `1102` of `request-ussd` says less: that no answer came.
* **A repeat is recognised.** The same `id` (or `reference`) with the same command, receiver and text from the
  same user is sent once, and answered with the outcome of the first: as long as the message lives, at most
  for {longest_h:.0f} hours, and for {endless_min:.0f} minutes if it has no end. A first one that surely
  failed is tried afresh. Give each message an `id` of its own, and a request whose answer was lost on the
  way can safely be made again. Where there is neither `id` nor `reference`, `date_time` takes their place.
  `request-otp` goes by its `reference`: as long as its code lives, another one is `1201`.
* **`expires_in`** is the life of a code in seconds. It may be shorter than what was asked for: the owner sets
  a longest life. **`parts`** is how many messages the text took; operators charge each.
* **Answers take their time.** A message is answered when its outcome is known, which takes a modem a few
  seconds and may take a minute. Set the time limit of the client above that: one that hangs up earlier does
  not learn the outcome.

## Response codes

| Code | Status | Meaning |
| --- | --- | --- |
{table}

The status is that of `/api/v1/...`. New codes may come; treat one that you do not know as a failure.
"""

_COMPATIBLE_PROSE = """\
Any command, on any of these paths, by POST or PUT: {paths}, and those that the owner has set. Paths below
them work too.

The status is 200 for every outcome, with these exceptions: 401 without a body, 405 for other methods, and
413 or 429 where reading or answering would cost too much.

`data` may also be a list of requests, each with `command` and `data` of its own. Each is answered in its
place, and `response_code` is that of the first that failed.
"""


def description(compatible_paths: Sequence[str]) -> Json:
    """Describe the API.

    Args:
        compatible_paths: Paths of the compatible API, the one to show first.
    """
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "OTP-Pi",
            "version": otppi.__version__,
            "summary": "One-time passwords by SMS from modems of one's own",
            "description": _PROSE.format(
                path=compatible_paths[0],
                longest_h=LONGEST_MEMORY_S / 3600,
                endless_min=MEMORY_WITHOUT_END_S / 60,
                table=_code_table(),
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"basic": []}],
        "tags": [
            {"name": "Commands", "description": "One path for each command, proper statuses."},
            {"name": "Compatible", "description": "For clients of the older products."},
            {"name": "Monitoring", "description": "For whoever looks after the device."},
        ],
        "paths": {
            **{f"/api/v1/{name}": {"post": _operation(name, one)} for name, one in COMMANDS.items()},
            compatible_paths[0]: {"post": _compatible(compatible_paths)},
            "/healthz": {"get": _health()},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Name and password of an API user.",
                }
            },
            "schemas": {"Answer": _answer(), "Request": _request(), "Modem": _MODEM},
        },
    }


def error_classes() -> list[type[OtpPiError]]:
    """Return the errors that have a meaning of their own, without those that only group others.

    What its owner asks of the device itself is no command.
    """
    classes = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, OtpPiError)]
    return [
        one
        for one in classes
        if one is not OtpPiError
        and not issubclass(one, errors.DeviceError)
        and ("code" in vars(one) or not one.__subclasses__())
    ]


def example(name: str) -> Json:
    """Return the smallest `data` that the command accepts."""
    return {one.name: _example(name, one) for one in COMMANDS[name].arguments if one.required}


def _code_table() -> str:
    rows = [
        (SUCCESS, 200, "Done."),
        *sorted((one.code, one.status, _meaning(one)) for one in error_classes()),
    ]
    return "\n".join(f"| {code} | {status} | {meaning} |" for code, status, meaning in rows)


def _meaning(error: type[OtpPiError]) -> str:
    return (error.__doc__ or "").partition("\n")[0]


def _operation(name: str, command: Command) -> Json:
    return {
        "operationId": name,
        "tags": ["Commands"],
        "summary": command.summary,
        "requestBody": {
            "required": True,
            "content": _json_content(_data_schema(name, command.arguments), example(name)),
        },
        "responses": {"200": _done(name), "413": _too_long(), **_refusals(name)},
    }


def _data_schema(name: str, arguments: Sequence[Argument]) -> Json:
    schema: Json = {
        "type": "object",
        "properties": {one.name: _argument_schema(name, one) for one in arguments},
    }
    if required := [one.name for one in arguments if one.required]:
        schema["required"] = required
    return schema


def _argument_schema(command: str, argument: Argument) -> Json:
    schema: Json = {"type": ["string", "number"], "description": argument.help}
    if argument.is_list:
        return {"type": "array", "items": {"type": "object"}, "description": argument.help}
    if argument.is_time:
        schema["type"] = ["number", "string"]
    else:
        schema["maxLength"] = argument.max_length
    if argument.required:
        schema["pattern"] = r"\S"
    if argument.aliases:
        names = ", ".join(f"`{alias}`" for alias in argument.aliases)
        schema["description"] += f" Older names, which also work: {names}."
    if argument.example != "":
        schema["examples"] = [_example(command, argument)]
    return schema


def _example(command: str, argument: Argument) -> str | int:
    if argument.name == "receiver" and command in _EMAIL_EXAMPLES:
        return _EMAIL_EXAMPLES[command]
    return argument.example


def _done(name: str) -> Json:
    if name == "echo":
        schema: Json = {"$ref": "#/components/schemas/Request"}
        return {"description": "The request itself.", "content": _json_content(schema)}
    schema = {
        "type": "object",
        "required": ["command", "response_code", "data"],
        "properties": {
            "command": {"const": name},
            "response_code": {"const": SUCCESS},
            "data": {"type": "object", "properties": _ANSWER_DATA.get(name, {})},
            **({"message": _MAIL_MESSAGE} if name in _EMAIL_EXAMPLES else {}),
        },
    }
    return {"description": "Done.", "content": _json_content(schema)}


def _refusals(name: str) -> Json:
    """Describe what the command may be answered with instead, by status."""
    by_status: dict[int, list[type[OtpPiError]]] = {}
    for error in (*_ANY_COMMAND, *_COMMAND_ERRORS.get(name, ())):
        by_status.setdefault(error.status, []).append(error)
    return {str(status): _refusal(name, status, by_status[status]) for status in sorted(by_status)}


def _refusal(name: str, status: int, classes: Iterable[type[OtpPiError]]) -> Json:
    classes = sorted(classes, key=lambda one: one.code)
    response: Json = {
        "description": "\n\n".join(f"`{one.code}` {_meaning(one)}" for one in classes),
        "content": {
            "application/json": {
                "schema": _ANSWER,
                "examples": {one.__name__: _refusal_example(name, one) for one in classes},
            }
        },
    }
    if status == errors.Unauthorized.status:
        response["headers"] = {"WWW-Authenticate": {"schema": _TEXT}}
    if any(_names_a_wait(one) for one in classes):
        response["headers"] = {
            "Retry-After": {"description": "Seconds, as in `data.retry_after`.", "schema": _SECONDS}
        }
    return response


def _refusal_example(name: str, error: type[OtpPiError]) -> Json:
    document: Json = {
        "command": name,
        "response_code": error.code,
        "error": _meaning(error),
        "data": {"retry_after": _WAIT_S} if _names_a_wait(error) else {},
    }
    return {"summary": f"{error.code} {_meaning(error)}", "value": document}


def _names_a_wait(error: type[OtpPiError]) -> bool:
    return "retry_after_s" in inspect.signature(error.__init__).parameters


def _too_long() -> Json:
    return {
        "description": "The request is longer than the owner allows.",
        "content": {"application/json": {"schema": _ANSWER}},
    }


def _compatible(paths: Sequence[str]) -> Json:
    return {
        "operationId": "compatible",
        "tags": ["Compatible"],
        "summary": "Any command, in the words of the older products",
        "description": _COMPATIBLE_PROSE.format(paths=", ".join(f"`{path}`" for path in paths)),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Request"},
                    "examples": _compatible_examples(),
                }
            },
        },
        "responses": {
            "200": {
                "description": "Whatever came of it; see `response_code`. `echo` answers with the request.",
                "content": {"application/json": {"schema": _ANSWER, "examples": _outcome_examples()}},
            },
            "401": {
                "description": "User name or password is wrong. The answer has no body.",
                "headers": {"WWW-Authenticate": {"schema": _TEXT}},
            },
            "405": {"description": "The method is neither POST nor PUT. The answer has no body."},
            "413": _too_long(),
            "429": _refusal("", errors.TooManyRequests.status, [errors.TooManyRequests]),
        },
    }


def _compatible_examples() -> Json:
    single: Json = {
        name: {"summary": command.summary, "value": {"command": name, "data": example(name)}}
        for name, command in COMMANDS.items()
    }
    inner = [single[name]["value"] for name in ("send-sms", "send-email")]
    several = {"summary": "Several requests in one", "value": {"command": "send-message", "data": inner}}
    return {**single, "list": several}


def _outcome_examples() -> Json:
    done = {"command": "block-msisdn", "response_code": SUCCESS, "data": {}}
    return {
        "done": {"summary": f"{SUCCESS} Done.", "value": done},
        "refused": _refusal_example("verify-otp", errors.OtpInvalid),
    }


def _request() -> Json:
    return {
        "type": "object",
        "required": ["command", "data"],
        "properties": {
            "command": {"type": "string", "enum": list(COMMANDS)},
            "data": {
                "type": ["object", "array"],
                "description": "The fields of the command, as at `/api/v1/COMMAND`, or a list of requests.",
                "items": {"$ref": "#/components/schemas/Request"},
            },
        },
    }


def _answer() -> Json:
    return {
        "type": "object",
        "required": ["command", "data"],
        "properties": {
            "command": {**_TEXT, "description": "The command of the request; empty if it could not be read."},
            "response_code": {
                "type": "string",
                "pattern": "^[0-9]{4}$",
                "description": "What came of it, by the table of response codes; `echo` has none.",
            },
            "error": {**_TEXT, "description": "Why not, in words for people; they may change."},
            "field": {**_TEXT, "description": "The field that is wrong.", "examples": ["data.receiver"]},
            "data": {
                "type": ["object", "array"],
                "description": "What the command answers, or a list of answers to a list of requests.",
                "properties": {
                    "retry_after": {**_SECONDS, "description": "Wait so many seconds before the next try."}
                },
                "items": {"$ref": "#/components/schemas/Answer"},
            },
        },
    }


def _health() -> Json:
    schema: Json = {
        "type": "object",
        "required": ["status", "modems_ready", "modems_active"],
        "properties": {
            "status": {
                "type": "string",
                "enum": ["ok", "degraded"],
                "description": "`ok` if at least one modem is ready.",
            },
            "modems_ready": _COUNT,
            "modems_active": _COUNT,
        },
    }
    return {
        "operationId": "health",
        "tags": ["Monitoring"],
        "summary": "Say whether the gateway lives and how many modems are ready",
        "security": [],
        "responses": {"200": {"description": "The gateway lives.", "content": _json_content(schema)}},
    }


def _metrics() -> Json:
    return {
        "operationId": "metrics",
        "tags": ["Monitoring"],
        "summary": "Show the metrics for Prometheus",
        "description": "The device itself reads them without a log-in, and everybody if the owner says so.",
        "security": [{}, {"basic": []}],
        "responses": {
            "200": {
                "description": "The metrics in the text format of Prometheus.",
                "content": {"text/plain": {"schema": _TEXT}},
            },
            "401": {"description": "A log-in is needed."},
            "429": {"description": "Too many wrong passwords came from this address."},
        },
    }


def _json_content(schema: Json, shown: Json | None = None) -> Json:
    content: Json = {"schema": schema}
    if shown is not None:
        content["example"] = shown
    return {"application/json": content}

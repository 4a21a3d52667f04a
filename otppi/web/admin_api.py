"""The admin API: every function of the device for programs, with the rights and the audit trail of the pages."""

import inspect
import json
import logging
from collections.abc import Mapping
from typing import Any

from otppi.gateway.functions import Caller, Functions, parameters
from otppi.lib.faults import fault
from otppi.model.errors import BadRequest, DeviceError, OtpPiError, Unauthorized
from otppi.web.site import Response, Route, Visit, bearer_token

log = logging.getLogger(__name__)

_PATH = "/api/admin/v1/"


def address(visit: Visit) -> str:
    """Return where the admin API is, as the visitor reaches the device."""
    http_port, https_port = visit.site.device.admin_ports()
    scheme, port = ("https", https_port) if visit.is_tls else ("http", http_port)
    return f"{scheme}://{visit.url_host}:{port}{_PATH}"


def call(visit: Visit, name: str) -> Response:
    """Call the function of the path with the arguments of the body, a JSON object."""
    try:
        caller = _caller(visit)
        document = visit.document() if visit.has_body else {}
        if not isinstance(document, Mapping):
            raise BadRequest("", "the body must be a JSON object")
        text = json.dumps({"result": visit.site.functions.call(name, caller, document)})
    except OtpPiError as error:
        return _refused(error)
    except Exception as error:  # noqa: BLE001 - logged without its text
        log.error("a function failed", extra={"fields": {"function": name, **fault(error)}})  # noqa: TRY400
        return _refused(DeviceError("something went wrong inside the device; its log says more"))
    return Response(text, headers={"Content-Type": "application/json", "Cache-Control": "no-store"})


def _caller(visit: Visit) -> Caller:
    if token := bearer_token(visit.authorization):
        user, role, token_id = visit.site.facts["tokens"].check(token)
        return Caller(user=user, role=role, address=visit.address, token=token_id)
    if visit.session is None:
        raise Unauthorized("give a token of the admin API, or log in")
    if not visit.has_page_token:
        raise Unauthorized("the X-CSRF-Token of the session is missing")
    return visit.caller


def _refused(error: OtpPiError) -> Response:
    fields = getattr(error, "errors", None) or (
        {error.field: error.reason} if isinstance(error, BadRequest) else {}
    )
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    if error.status == Unauthorized.status:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    document = {"error": {"code": error.code, "message": str(error), "fields": fields}}
    return Response(json.dumps(document), status=error.status, headers=headers)


def description(functions: Functions, version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of all functions of this device."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OTP-Pi admin API",
            "version": version,
            "description": "Everything that the admin pages do, for programs. Log in by a token "
            "(`Authorization: Bearer …`, made on the page of your own account), or by the session of the pages with "
            "its `X-CSRF-Token`. Arguments go as a JSON object; the answer has them in `result`, or an `error`.",
        },
        "paths": {f"{_PATH}{name}": {"post": _operation(functions, name)} for name in sorted(functions)},
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "otppi_session"},
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {
                        "error": {
                            "type": "object",
                            "properties": {
                                "code": {"type": "string"},
                                "message": {"type": "string"},
                                "fields": {"type": "object", "additionalProperties": {"type": "string"}},
                            },
                        }
                    },
                }
            },
        },
        "security": [{"token": []}, {"session": []}],
    }


def _operation(functions: Functions, name: str) -> dict[str, Any]:
    right, function = functions.right(name), functions.function(name)
    summary, _, more = inspect.cleandoc(function.__doc__ or name).partition("\n\n")
    wanted = parameters(function)
    refusals = {
        "400": "The arguments do not fit.",
        "401": "Log in first.",
        "403": "The role does not suffice.",
        "422": "Settings were refused; `fields` says which and why.",
    }
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "operationId": name,
        "tags": [name.partition(".")[0]],
        "summary": " ".join(summary.split()),
        "description": f"{more}\n\nRole: {right.role.value}.".strip(),
        "requestBody": {
            "required": any(is_required for _, is_required in wanted.values()),
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {one: schema for one, (schema, _) in wanted.items()},
                        "required": [one for one, (_, is_required) in wanted.items() if is_required],
                        "additionalProperties": False,
                    }
                }
            },
        },
        "responses": {
            "200": {
                "description": "Done.",
                "content": {"application/json": {"schema": {"type": "object", "properties": {"result": {}}}}},
            },
            **{status: {"description": text, "content": error} for status, text in refusals.items()},
        },
    }


ROUTES = (
    Route(method="POST", path=f"{_PATH}<name:re:[a-z_.-]+>", answer=call, role=None, is_for_scripts=True),
)

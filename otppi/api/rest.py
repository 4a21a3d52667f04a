"""The REST API: the paths of the old product, and the versioned ones."""

import base64
import binascii
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import bottle

from otppi.api.settings import ApiSettings
from otppi.gateway import answers
from otppi.gateway.accounts import ApiAccounts
from otppi.gateway.body import parse_json
from otppi.gateway.commands import COMMANDS
from otppi.gateway.door import Answer, Door
from otppi.model.errors import BadRequest, Busy, OtpPiError, TooManyRequests, Unauthorized
from otppi.model.requests import Origin

# Paths that clients of the old products use; they work whatever the settings say.
PERMANENT_PATHS = (
    "/api/otp",
    "/api/message",
    "/api/sms",
    "/api/email",
    "/api/mail",
    "/api/block",
    "/api/blocking",
    "/api/unblock",
    "/api/unblocking",
    "/api/modem",
    "/api/ussd",
)

# Verify, block and health must find a thread while messages wait for modems.
THREADS_KEPT_FREE = 16

# Commands that hold their thread until a modem has answered.
_WAITING_COMMANDS = frozenset(
    {"request-otp", "send-sms", "send-message", "send-email", "send-mail", "request-ussd", "cancel-ussd"}
)

_OTHER_METHODS = ["GET", "HEAD", "DELETE", "PATCH", "OPTIONS", "TRACE"]


class RestApi:
    """Turns HTTP requests into documents for the door, and its answers into HTTP responses."""

    def __init__(
        self, *, door: Door, accounts: ApiAccounts, settings: Callable[[], ApiSettings], threads: int
    ) -> None:
        self._door = door
        self._accounts = accounts
        self._settings = settings
        self._in_hand = threading.BoundedSemaphore(threads - THREADS_KEPT_FREE)

    def install(self, app: bottle.Bottle) -> None:
        """Add the routes of the API to an application."""
        app.route("/api/v1/<command>", ["POST"], self._versioned)
        app.route("/api/v1/<path:path>", ["PUT"], lambda path: self._other_method(f"api/v1/{path}"))
        app.route("/<path:path>", ["POST", "PUT"], self._compatible)
        app.route("/", ["POST", "PUT"], self._compatible)
        app.route("/<path:path>", _OTHER_METHODS, self._other_method)
        app.route("/", _OTHER_METHODS, self._other_method)

    def user(self) -> str:
        """Return the API user of the current request.

        Raises:
            Unauthorized, TooManyRequests: See `ApiAccounts.check`.
        """
        name, password = _basic_credentials(bottle.request.environ.get("HTTP_AUTHORIZATION", ""))
        self._accounts.check(name, password, _address())
        return name

    def _compatible(self, path: str = "") -> bottle.HTTPResponse:
        """Serve a path of the old product: 200 and a JSON object for every outcome."""
        if not self._is_served(path):
            return bottle.HTTPResponse(status=404)
        try:
            origin = self._origin()
        except Unauthorized:
            return _login_required()
        except TooManyRequests as error:
            return _response(answers.failure("", error), error.status, error)
        try:
            document = self._document()
        except BadRequest as error:
            return _response(answers.failure("", error))
        return _response(self._answer(document, origin).document)

    def _versioned(self, command: str) -> bottle.HTTPResponse:
        """Serve `/api/v1/COMMAND`: the body is the `data` object, and the status says what came of it."""
        try:
            origin = self._origin()
        except Unauthorized as error:
            return _login_required(answers.failure(command, error))
        except TooManyRequests as error:
            return _response(answers.failure(command, error), error.status, error)
        try:
            data = self._document()
            if not isinstance(data, Mapping):
                raise BadRequest("data", "must be an object")
        except BadRequest as error:
            return _response(answers.failure(command, error), error.status)
        answer = self._answer({"command": command, "data": data}, origin)
        return _response(answer.document, answer.error.status if answer.error else 200, answer.error)

    def _other_method(self, path: str = "") -> bottle.HTTPResponse:
        is_versioned = path.startswith("api/v1/")
        if not (is_versioned or self._is_served(path)):
            return bottle.HTTPResponse(status=404)
        try:
            self._origin()
        except Unauthorized:
            return _login_required()
        except TooManyRequests as error:
            return _response(answers.failure("", error), error.status, error)
        return bottle.HTTPResponse(status=405, headers={"Allow": "POST" if is_versioned else "POST, PUT"})

    def _is_served(self, path: str) -> bool:
        # Old servers matched by prefix, so `/api/otp/x` and `/api/otpx` are served too.
        return not path or f"/{path}".startswith(
            (*PERMANENT_PATHS, *(one for one in self._settings().paths if one != "/"))
        )

    def _origin(self) -> Origin:
        return Origin(door="rest", user=self.user(), address=_address())

    def _document(self) -> Any:  # noqa: ANN401 - whatever the caller sent
        # The content type is not looked at: old clients name a form's and send JSON. The server has already
        # taken chunks apart and limited the length, so the stream is read as it is.
        return parse_json(bottle.request.environ["wsgi.input"].read())

    def _answer(self, document: object, origin: Origin) -> Answer:
        if not _waits(document):
            return self._door.answer(document, origin)
        if not self._in_hand.acquire(blocking=False):
            error = Busy("too many messages are in hand", retry_after_s=1.0)
            return Answer(answers.failure(_command(document), error), error)
        try:
            return self._door.answer(document, origin)
        finally:
            self._in_hand.release()


def _waits(document: object) -> bool:
    if not isinstance(document, Mapping):
        return False
    command = document.get("command")
    return isinstance(document.get("data"), list) or (
        isinstance(command, str) and command in _WAITING_COMMANDS
    )


def _command(document: object) -> str:
    name = document.get("command") if isinstance(document, Mapping) else None
    return name if isinstance(name, str) and name in COMMANDS else ""


def _address() -> str:
    # Not what bottle calls the remote address: that believes X-Forwarded-For, which anybody may send.
    return str(bottle.request.environ.get("REMOTE_ADDR", ""))


def _basic_credentials(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized("log-in required")
    try:
        user, colon, password = (
            base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        )
    except (binascii.Error, ValueError):
        raise Unauthorized("the Authorization header is malformed") from None
    if not user or not colon:
        raise Unauthorized("the Authorization header is malformed")
    return user, password


def _login_required(document: Mapping[str, Any] | None = None) -> bottle.HTTPResponse:
    headers = {"WWW-Authenticate": 'Basic realm="OTP-Pi", charset="UTF-8"'}
    if document is None:
        return bottle.HTTPResponse(status=401, headers=headers)
    return bottle.HTTPResponse(
        json.dumps(document), status=401, headers={**headers, "Content-Type": "application/json"}
    )


def _response(
    document: Mapping[str, Any], status: int = 200, error: OtpPiError | None = None
) -> bottle.HTTPResponse:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    if error is not None and error.retry_after_s is not None:
        headers["Retry-After"] = str(document["data"]["retry_after"])
    return bottle.HTTPResponse(json.dumps(document), status=status, headers=headers)

"""The control socket: how the command line talks to a gateway that runs.

One JSON object on one line asks, one answers. The socket lies in the state folder and is its owner's alone;
who may write the folder may do everything anyway, so there is no further login.
"""

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from otppi.lib.faults import fault
from otppi.lib.threads import died
from otppi.model.errors import BadRequest, OtpPiError, SettingsError

log = logging.getLogger(__name__)

_NAME = "control.sock"
_ACCEPT_PAUSE_S = 0.5
_LONGEST_LINE = 24 * 1024 * 1024  # a backup that is restored is one line

Function = Callable[..., Any]


class NotRunning(Exception):
    """No gateway listens in this state folder."""


class Unanswered(Exception):
    """The gateway took the call and ended, or the time did, before it answered: it may have been done."""


class Refused(Exception):
    """The gateway refused a call; `document` is its error object."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(str(document.get("message", "refused")))
        self.document = document


class ControlServer:
    """Serves a table of functions on the socket of a state folder, each call on a thread of its own."""

    def __init__(self, state_dir: Path, functions: Mapping[str, Function]) -> None:
        self._functions = functions
        self._stopping = False
        self._path = state_dir / _NAME
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY)
        before = os.umask(0o177)
        try:
            # By the folder's descriptor: the path of a socket may have 107 bytes only.
            self._socket.bind(f"/proc/self/fd/{folder}/{_NAME}")
        finally:
            os.umask(before)
            os.close(folder)
        self._socket.listen(8)
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stopping)

    def stop(self) -> None:
        """Take no more calls and remove the socket; calls in hand go on."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._thread.join()
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                if self._stopping:
                    return
                time.sleep(_ACCEPT_PAUSE_S)  # out of descriptors, most likely; others will give some back
                continue
            threading.Thread(target=self._serve, args=(connection,), name="control-call", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # Outermost, as closing a stream also writes, and the caller may be gone.
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as stream:
            line = stream.readline(_LONGEST_LINE)
            if line:
                stream.write(json.dumps(self._answer(line)).encode() + b"\n")
                stream.flush()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            call = json.loads(line)
            function = self._functions.get(call["call"])
            if function is None:
                raise BadRequest(
                    "", "this gateway does not do that; what is of the device needs serve --device"
                )
            return {"result": function(**call["args"])}
        except OtpPiError as error:
            return {"error": describe(error)}
        except Exception as error:  # noqa: BLE001 - logged without its text
            log.error("a control call failed", extra={"fields": fault(error)})  # noqa: TRY400 - see `fault`
            return {"error": {"code": "internal", "message": "internal error; see the log"}}


def describe(error: OtpPiError) -> dict[str, Any]:
    """Turn an error into what the command line shows."""
    document: dict[str, Any] = {"code": error.code, "message": str(error)}
    if isinstance(error, SettingsError):
        document["errors"] = error.errors
    return document


def call(state_dir: Path, name: str, args: Mapping[str, Any], timeout_s: float) -> Any:  # noqa: ANN401 - JSON
    """Call a function of the gateway that owns this state folder, and wait for its result.

    Raises:
        NotRunning: There is none.
        Refused: It said no.
        Unanswered: It did not say.
    """
    try:
        folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise NotRunning from error
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            try:
                connection.connect(f"/proc/self/fd/{folder}/{_NAME}")
            except OSError as error:
                raise NotRunning from error
            try:
                connection.sendall(json.dumps({"call": name, "args": dict(args)}).encode() + b"\n")
                with connection.makefile("rb") as answers:
                    line = answers.readline()
            except OSError as error:
                raise Unanswered from error
    finally:
        os.close(folder)
    if not line:
        raise Unanswered
    answer = json.loads(line)
    if "error" in answer:
        raise Refused(answer["error"])
    return answer["result"]

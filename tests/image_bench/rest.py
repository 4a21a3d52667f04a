"""Callers of the REST API on the Ethernet side of the board."""

import base64
import http.client
import json
from collections.abc import Mapping
from typing import Any

from tests.image_bench.machine import Machine

_ANSWER_S = 60.0


class RestCaller:
    """Calls as one API user."""

    def __init__(self, machine: Machine, user: str, password: str, port: int = 8899) -> None:
        """Take the credentials."""
        self._port = machine.ports[port]
        self._answer_s = _ANSWER_S * machine.board.kind.patience
        self._credentials = base64.b64encode(f"{user}:{password}".encode()).decode()

    def call(self, command: str, **data: Any) -> Mapping[str, Any]:
        """Call a command and return the answer, whatever it says."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._answer_s)
        try:
            headers = {"Authorization": f"Basic {self._credentials}", "Content-Type": "application/json"}
            connection.request("POST", "/api/otp", json.dumps({"command": command, "data": data}), headers)
            answer: Mapping[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer

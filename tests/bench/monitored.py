"""`otppi` whose API port serves live news to anybody, for the measurement of what open monitors cost."""

import sys
from typing import Any

import bottle

from otppi.__main__ import main
from otppi.gateway.rights import Role
from otppi.lib.clock import SystemClock
from otppi.services import serve
from otppi.services.gateway import Gateway
from otppi.web.live import Live
from otppi.wsgi.streams import Streams


class MonitoredGateway(Gateway):
    """A gateway with one more route on its API port."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._streams = Streams("rest", most_per_client=32)
        self._live = Live(self.bus, self._streams, SystemClock())
        self._rest_app.route("/live/stream", "GET", self._listen)

    def start(self) -> None:
        """Start the streams as well."""
        self._streams.start()
        super().start()

    def _listen(self) -> bottle.HTTPResponse:
        newest = self._live.newest()
        return self._live.stream("en", Role.OWNER, newest, bottle.request.environ, lambda: True)


if __name__ == "__main__":
    serve.Gateway = MonitoredGateway  # type: ignore[misc]
    sys.exit(main())

"""`otppi` with a simulated host, so that every admin page has something to show, for the measurement of pages."""

import sys
from typing import Any

from otppi.__main__ import main
from otppi.lib.clock import SystemClock
from otppi.services import serve
from otppi.services.gateway import Gateway
from otppi.services.hosts import desk


class DeskGateway(Gateway):
    """A gateway with a desk in the place of this machine."""

    def __init__(self, *args: Any, **options: Any) -> None:
        clock = SystemClock()
        super().__init__(*args, **options, clock=clock, host=lambda _: desk(clock, lambda _: None))


if __name__ == "__main__":
    serve.Gateway = DeskGateway  # type: ignore[misc]
    sys.exit(main())

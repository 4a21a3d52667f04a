"""What monitoring sees, on every server of the device: `/healthz` and `/metrics`."""

import json
from collections.abc import Callable

import bottle

from otppi.model.errors import OtpPiError

_LOOPBACK = ("127.", "::1")


class Observability:
    """Health for anybody, metrics for the device itself and for those who may read them."""

    def __init__(
        self,
        *,
        modems: Callable[[], tuple[int, int]],
        metrics: Callable[[], bytes],
        metrics_are_open: Callable[[], bool],
        log_in: Callable[[], object],
    ) -> None:
        """Take what is shown as calls.

        Args:
            modems: Returns how many modems are ready and how many are active.
            metrics: Returns the Prometheus text exposition.
            metrics_are_open: Whether anybody may read them.
            log_in: Raises an `OtpPiError` unless the current request has an API user's credentials.
        """
        self._modems = modems
        self._metrics = metrics
        self._metrics_are_open = metrics_are_open
        self._log_in = log_in

    def install(self, app: bottle.Bottle) -> None:
        """Add the routes to an application."""
        app.route("/healthz", ["GET", "HEAD"], self._health)
        app.route("/metrics", ["GET", "HEAD"], self._show_metrics)

    def _health(self) -> bottle.HTTPResponse:
        ready, active = self._modems()
        document = {
            "status": "ok" if ready else "degraded",
            "modems_ready": ready,
            "modems_active": active,
        }
        return bottle.HTTPResponse(
            json.dumps(document), headers={"Content-Type": "application/json", "Cache-Control": "no-store"}
        )

    def _show_metrics(self) -> bottle.HTTPResponse:
        address = bottle.request.environ.get("REMOTE_ADDR", "")
        if not (address.startswith(_LOOPBACK) or self._metrics_are_open()):
            try:
                self._log_in()
            except OtpPiError as error:
                return bottle.HTTPResponse(
                    status=error.status, headers={"WWW-Authenticate": 'Basic realm="OTP-Pi"'}
                )
        return bottle.HTTPResponse(
            self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

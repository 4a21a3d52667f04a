import logging
import threading

import pytest

from otppi.model.errors import HostUnreachable
from otppi.services.ending import Ending


class Switch:
    """A `Power` that notes what was asked of it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._error = error

    def reboot(self) -> None:
        self._note("reboot")

    def power_off(self) -> None:
        self._note("power off")

    def _note(self, what: str) -> None:
        if self._error:
            raise self._error
        self.asked.append(what)


@pytest.mark.parametrize(
    ("ask", "asked"), [("ask", []), ("restart_device", ["reboot"]), ("power_off", ["power off"])]
)
def test_what_was_asked_for_comes_after_the_end(ask, asked):
    ending, power = Ending(), Switch()
    threading.Thread(target=getattr(ending, ask)).start()
    ending.wait()
    assert power.asked == []
    ending.finish(power)
    assert power.asked == asked


def test_a_device_that_cannot_be_restarted_only_logs_it(caplog):
    ending = Ending()
    ending.restart_device()
    ending.wait()
    with caplog.at_level(logging.ERROR):
        ending.finish(Switch(HostUnreachable("no logind")))
    assert caplog.records[0].fields == {"reason": "no logind"}

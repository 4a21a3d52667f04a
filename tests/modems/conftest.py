import pytest

from otppi.lib.wakeup import Wakeup
from otppi.modems.channel import Channel
from otppi.modems.transport import SerialLine, SerialTransport
from tests.modems.far_end import FarEnd


@pytest.fixture
def line():
    """The far end, a channel to it, and the list of unsolicited lines."""
    far, wakeup = FarEnd(), Wakeup()
    unsolicited = []
    transport = SerialTransport(far.path, SerialLine(), wakeup)
    yield far, Channel(transport, unsolicited.append), unsolicited
    transport.close()
    wakeup.close()
    far.close()

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import needs
from tests.system.clock.time_services import NtpServer, ServiceManager, TimeDated, TimeSyncd
from tests.system.private_bus import PrivateBus


@pytest.fixture
def services(monkeypatch):
    """Real timedated and timesyncd, an NTP server and a bus of their own; timesyncd is off."""
    needs.root()
    started = []
    # The unprivileged user of timesyncd may not enter pytest's own folders.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            started.append(bus := PrivateBus(folder / "bus"))
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
            started.append(ntp := NtpServer(folder))
            started.append(timesyncd := TimeSyncd(folder / "run", ntp))
            started.append(manager := ServiceManager(timesyncd))
            started.append(timedated := TimeDated(folder / "etc"))
            yield SimpleNamespace(timedated=timedated, timesyncd=timesyncd, manager=manager)
        finally:
            for one in reversed(started):
                one.stop()

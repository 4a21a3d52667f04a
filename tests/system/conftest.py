from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.private_bus import PrivateBus


@pytest.fixture
def system_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateBus]:
    """A real dbus-daemon that this process and its children take for the system bus."""
    bus = PrivateBus(tmp_path / "bus")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    yield bus
    bus.stop()

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.rootfs_overlay.booted import BootedOverlay


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedOverlay]:
    """The overlay's units, all started once, under a real systemd."""
    needs.root()
    needs.filesystem("overlay")
    needs.filesystem("cgroup2")
    needs.programs("systemd", "unshare", "nsenter", "setpriv", "dbus-daemon", "pkcheck", "iptables-restore")
    stage: Path = tmp_path_factory.mktemp("booted")
    system = BootedOverlay(stage)
    yield system
    system.stop()

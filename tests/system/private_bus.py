"""A system bus of the test's own: a real dbus-daemon on a socket in the test's folder."""

import subprocess
from pathlib import Path

from tests import needs

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="false"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="signal"/>
    <allow receive_requested_reply="true" receive_type="method_return"/>
    <allow receive_requested_reply="true" receive_type="error"/>
  </policy>
</busconfig>
"""


class PrivateBus:
    """Started by the constructor; `address` is what DBUS_SYSTEM_BUS_ADDRESS must hold for its clients."""

    def __init__(self, folder: Path) -> None:
        needs.programs("dbus-daemon")
        folder.mkdir(parents=True, exist_ok=True)
        socket, config = folder / "bus.sock", folder / "bus.conf"
        config.write_text(_CONFIG.format(socket=socket))
        self._daemon = subprocess.Popen(
            [needs.program("dbus-daemon"), f"--config-file={config}", "--nofork", "--print-address=1"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self._daemon.stdout.readline().strip()

    def stop(self) -> None:
        self._daemon.terminate()
        self._daemon.wait(10)
        self._daemon.stdout.close()

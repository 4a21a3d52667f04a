"""An application server that installs the publisher alone can use it: nothing of the device is imported."""

import json
import subprocess
import sys

DEVICE = {
    "babel", "bottle", "cheroot", "cryptography", "dbus", "dbus_next", "gpiozero", "jinja2", "markupsafe",
    "prometheus_client", "pyotp", "pyudev", "segno", "serial", "smbus2", "tomli_w", "xlsxwriter",
}  # fmt: skip
BROKERS = {"pika", "paho", "redis", "stomp", "websocket", "websockets"}

# The import system of an interpreter that has only what may be there.
_RUN = """
import importlib.abc, json, sys
absent = set(json.loads(sys.argv[1]))
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
exec(sys.argv[2])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded(absent, code):
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps(sorted(absent)), code],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


_REST = """
from pathlib import Path
from otppi.publisher import CannotConnect, OwnCodes, Publisher, RestTransport
publisher = Publisher(RestTransport(url="http://127.0.0.1:1/"), codes=OwnCodes(Path({folder!r})))
assert publisher.verify_otp("081200000001", "1", "r").code == "1202"
try:
    publisher.create_otp("081200000001", "r")
except CannotConnect:
    pass
"""
_HELP = """
from click.testing import CliRunner
from otppi.publisher.cli import publish
for words in ([], ["sms"]):
    assert CliRunner().invoke(publish, [*words, "--help"]).exit_code == 0
"""


def test_rest_and_own_codes_need_no_library_at_all(tmp_path):
    loaded(DEVICE | BROKERS | {"click"}, _REST.format(folder=str(tmp_path / "codes")))


def test_the_command_line_needs_click_alone():
    loaded(DEVICE | BROKERS, _HELP)


def test_a_broker_needs_its_own_library_and_no_other():
    code = f"""
from otppi import publisher
brokers, expected = {BROKERS!r}, set()
for kind, libraries in (
    ("AmqpTransport", {{"pika"}}),
    ("MqttTransport", {{"paho"}}),
    ("RedisTransport", {{"redis"}}),
    ("WsTransport", {{"websocket"}}),
    ("StompTransport", {{"stomp"}}),  # which imports the one before as well
):
    try:
        publisher.Publisher(getattr(publisher, kind)(port=1)).send_sms("081200000001", "Halo")
    except publisher.CannotConnect:
        pass
    expected |= libraries
    assert brokers & {{name.partition(".")[0] for name in sys.modules}} == expected, kind
"""
    loaded(DEVICE | {"click"}, code)

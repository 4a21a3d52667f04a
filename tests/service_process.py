"""The gateway as a process of its own, which a test can kill; its modems are simulated in the test."""

import contextlib
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from otppi.lib.bus import Bus
from otppi.services.control import call
from otppi.services.sections import SECTIONS
from otppi.settings.store import SettingsStore
from otppi.sim.line import SimModems


class Service:
    """`otppi serve` on a folder of its own, with simulated modems in this process."""

    def __init__(self, tmp_path, runtime_dir, free_port, modems, submit_s):
        self.state, self.runtime, self.port = tmp_path / "state", runtime_dir, free_port()
        self.sim = SimModems(tmp_path / "ports")
        self.process = None
        self.log = tmp_path / "log"
        for n in range(modems):
            line = self.sim.add(f"m{n}", submit_s=submit_s)
            self.run("modem", "add", "--name", line.name, "--port", str(line.path))
        self.run("api-user", "add", "shop", "--password-stdin", stdin="long enough\n")
        for path, value in (
            ("api.host", "127.0.0.1"),
            ("api.http_port", str(self.port)),
            ("api.https_enabled", "false"),
            ("admin.host", "127.0.0.1"),
            ("admin.http_port", str(free_port())),
            ("admin.https_enabled", "false"),
        ):
            self.run("settings", "set", path, value)

    def run(self, *words, stdin=""):
        subprocess.run(
            [sys.executable, "-m", "otppi", *words, "--state-dir", str(self.state)],
            input=stdin, text=True, check=True, timeout=60, capture_output=True,
        )  # fmt: skip

    def set(self, section, values):
        """Change settings while it does not run."""
        SettingsStore(self.state, SECTIONS, Bus()).update(section, values)

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "otppi", "serve", "--state-dir", str(self.state),
                 "--runtime-dir", str(self.runtime)], stdout=log, stderr=log,
            )  # fmt: skip
        end = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                    health = json.load(answer)
                if health["modems_ready"] == health["modems_active"]:
                    return
            except (OSError, http.client.HTTPException):
                pass
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def wait_for_broker(self, name):
        """Wait until it takes messages from a broker."""
        end = time.monotonic() + 20
        while True:
            state = next(one for one in call(self.state, "broker.list", {}, 10.0) if one["name"] == name)
            if state["state"] == "connected":
                return
            assert time.monotonic() < end, state
            time.sleep(0.02)

    def send(self, command="send-sms", **data):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/sms",
            json.dumps({"command": command, "data": {"receiver": "081200000001", **data}}).encode(),
            {"Authorization": "Basic c2hvcDpsb25nIGVub3VnaA=="},
        )
        with urllib.request.urlopen(request, timeout=70) as answer:
            return json.load(answer)["response_code"]

    def insist(self, **data):
        """Send as a careful client does: ask again until there is an answer."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                code = self.send(**data)
            except (OSError, http.client.HTTPException):
                code = ""
            if code not in (
                "",
                "1101",
                "1503",
            ):  # which say that it was surely not sent, and why it may be soon
                return code
            time.sleep(0.02)
        raise AssertionError("no answer")

    def texts(self):
        return [message.text for line in self.sim.lines for message in line.messages]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.sim.stop()


@contextlib.contextmanager
def services(folder, free_port):
    """Yield what makes services, started unless `starts` is False; all end with the block."""
    runtime = Path(tempfile.mkdtemp(prefix="otppi-test-", dir="/dev/shm"))
    made = []

    def make(modems=1, submit_s=0.0, starts=True):
        own = [one / f"{len(made)}" for one in (folder, runtime)]
        for one in own:
            one.mkdir(mode=0o700)
        made.append(Service(*own, free_port, modems, submit_s))
        if starts:
            made[-1].start()
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()
        shutil.rmtree(runtime, ignore_errors=True)

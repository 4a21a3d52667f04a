"""The gateway as a process: started, asked, killed and stopped as on the device."""

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest

from otppi.sim.faults import Faults
from tests.service_process import services


@pytest.fixture
def service(tmp_path, free_port):
    with services(tmp_path, free_port) as make:
        yield make


def test_sigterm_lets_what_is_in_hand_finish_and_ends_cleanly(service):
    one = service(submit_s=1.0)
    codes = []
    callers = [
        threading.Thread(target=lambda n=n: codes.append(one.send(message=f"m{n}", id=n))) for n in range(3)
    ]
    for caller in callers:
        caller.start()
    while len(one.sim.lines[0].ctrl_z_times) < 1:
        time.sleep(0.01)
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(timeout=30) == 0
    for caller in callers:
        caller.join()
    assert codes == ["0000"] * 3
    assert sorted(one.texts()) == ["m0", "m1", "m2"]
    log = one.log.read_text()
    assert "the gateway has stopped" in log
    assert "Traceback" not in log
    assert " error " not in log


def test_killed_at_any_moment_nothing_is_lost_and_at_most_what_was_in_flight_is_doubled(service):
    """Time-critical messages: each arrives; an extra copy only for what a modem had in hand at a kill."""
    one = service(modems=2, submit_s=0.03)
    kills, count = 3, 120
    life = int(time.time()) + 300
    with ThreadPoolExecutor(6) as callers:
        codes = [
            callers.submit(one.insist, message=f"message {n}", id=n, expiration=life) for n in range(count)
        ]
        for kill in range(kills):
            while len(one.texts()) < (kill + 1) * 25:
                time.sleep(0.002)
            one.kill()
            one.start()
        assert {code.result() for code in codes} == {"0000"}
    texts = one.texts()
    assert set(texts) == {f"message {n}" for n in range(count)}
    assert len(texts) - count <= kills * 2  # modems


def test_killed_a_message_that_is_not_time_critical_is_never_doubled(service):
    one = service(modems=1, submit_s=0.05)
    with ThreadPoolExecutor(4) as callers:
        codes = [callers.submit(one.insist, message=f"message {n}", id=n) for n in range(40)]
        while len(one.texts()) < 10:
            time.sleep(0.002)
        one.kill()
        one.start()
        outcomes = [code.result() for code in codes]
    texts = one.texts()
    assert len(texts) == len(set(texts))
    assert set(outcomes) <= {"0000", "1408"}
    assert outcomes.count("1408") <= 1
    assert len(texts) >= 39


def test_killed_before_a_code_left_its_reference_is_free_again_and_after_it_is_not(service):
    one = service()
    data = {"command": "request-otp", "reference": "r", "message": "Your OTP is %s"}

    def ask_and_be_killed(until):
        def ask():
            with contextlib.suppress(OSError, http.client.HTTPException):
                one.send(**data)

        caller = threading.Thread(target=ask)
        caller.start()
        while not until():
            time.sleep(0.01)
        one.kill()
        caller.join()

    line = one.sim.lines[0]
    before = line.at_commands
    line.set_faults(Faults(no_prompt_sends=1))
    ask_and_be_killed(lambda: line.at_commands > before)
    line.set_faults(Faults(silent_sends=1, silent_reach_network=False))
    one.start()
    ask_and_be_killed(lambda: line.ctrl_z_times)
    line.set_faults(Faults())
    one.start()
    assert one.send(**data) == "1201"
    assert one.send(**{**data, "reference": "another"}) == "0000"


def test_guessing_passwords_costs_neither_memory_nor_the_callers_that_are_known(service):
    one = service()
    assert one.send(message="known") == "0000"

    def guess(n):
        address = f"127.0.0.{2 + n % 40}"
        connection = http.client.HTTPConnection(
            "127.0.0.1", one.port, timeout=30, source_address=(address, 0)
        )
        credentials = base64.b64encode(f"shop:wrong {n}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "X-Forwarded-For": f"10.0.0.{n}"}
        connection.request("POST", "/api/otp", "{}", headers)
        status = connection.getresponse().status
        connection.close()
        return status

    with ThreadPoolExecutor(50) as guessers:
        answers = [guessers.submit(guess, n) for n in range(400)]
        slowest_s = 0.0
        while not all(answer.done() for answer in answers):
            began_s = time.monotonic()
            assert one.send(message="known") == "0000"
            slowest_s = max(slowest_s, time.monotonic() - began_s)
    assert {answer.result() for answer in answers} <= {401, 429}
    assert slowest_s < 2.0
    status = Path(f"/proc/{one.process.pid}/status").read_text()
    rss_mb = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024
    assert rss_mb < 100


def test_a_second_gateway_on_the_same_folder_is_refused(service):
    one = service()
    second = subprocess.run(
        [sys.executable, "-m", "otppi", "serve", "--state-dir", str(one.state)],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert second.returncode == 1
    assert "holds the state folder" in second.stderr


def test_the_demo_does_what_it_prints(tmp_path, free_port):
    """The two lines that the demo prints are pasted into a shell, as a new user would."""
    ports = [str(free_port()) for _ in range(4)]
    demo = subprocess.Popen(
        [sys.executable, "-m", "otppi", "demo", "--admin-port", ports[0], "--api-port", ports[1],
         "--https-port", ports[2], "--admin-https-port", ports[3]],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        printed = ""
        while "misbehave" not in printed:
            line = demo.stdout.readline()
            assert line, printed
            printed += line
        assert f"Open http://127.0.0.1:{ports[0]}/ and set it up" in printed
        request, verify = re.findall(r"^curl .*$", printed, re.MULTILINE)
        mailbox = re.search(r"Mailbox +(http://127\.0\.0\.1:[0-9]+/)", printed)[1]

        def paste(line):
            done = subprocess.run(
                ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=30
            )
            return json.loads(done.stdout)["response_code"]

        assert paste(request) == "0000"
        assert paste(verify) == "0000"
        assert paste(verify) == "1202"
        assert paste(request) == "0000"
        assert paste(verify) == "0000"
        assert paste(request.replace("087100000001", "person@example.com")) == "0000"
        with urlopen(f"{mailbox}1", timeout=10) as page:
            assert "To person@example.com" in (email := page.read().decode())
        assert re.search(r"<pre>Your OTP is [0-9]{6,10}\s*</pre>", email)
    finally:
        demo.send_signal(signal.SIGTERM)
        rest = demo.stdout.read()
        assert demo.wait(timeout=30) == 0
        demo.stdout.close()
    assert rest.count("Your OTP is") == 3
    assert "E-mail to person@example.com (demo-state/mail/person@example.com/" in rest
    assert "Traceback" not in rest

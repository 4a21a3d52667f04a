"""What publishers in PHP do on the wire, frame by frame: otherwise nothing of them shows a fault, they just wait."""

import subprocess
import time
from pathlib import Path

import pytest

from otppi.wsbroker.limits import Limits
from tests import needs
from tests.wsbroker.running import RawClient, RunningBroker, heard, masked, request

SMS = b'{"command":"send-sms","data":{"date_time":1629685778,"id":123456,"receiver":"6281200000001","message":"1234"}}'
LIST = b'{"command":"get-modem-list","callback_topic":"answers-1","callback_delay":50}'


def php_request(topic: str, user: str) -> bytes:
    """Its header as it writes it: the name as the password, a type of content, the host without a port."""
    head = request(topic, user, more="pragma: no-cache\r\nContent-type: application/json\r\n")
    return head.replace(b"Upgrade: websocket", b"Upgrade: WebSocket")


def php_open(broker: RunningBroker, topic: str, user: str = "shop") -> RawClient:
    """One read of 1024 bytes has to hold the whole answer and nothing else."""
    client = broker.stranger()
    client.send(php_request(topic, user))
    answer = client.read(1024)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: " in answer
    assert answer.endswith(b"\r\n\r\n")
    assert len(answer) < 1024
    return client


@pytest.mark.parametrize("user", ["shop", "device", "other"])
def test_it_publishes_and_goes_without_a_goodbye(shared, user):
    device = shared.listener(f"php-{user}")
    client = php_open(shared, f"php-{user}", user)
    client.send(masked(SMS))
    client.close()
    assert heard(device) == SMS.decode()


def test_an_answer_reaches_it_however_early_or_late_it_is(shared):
    for number, gateway_is_first in enumerate((True, False)):
        answers = f"answers-{number}"
        asking = php_open(shared, "php-ask")
        asking.send(masked(LIST))

        def answer(topic: str = answers) -> None:
            reply = shared.client(topic)
            reply.send('{"response_code":"0000"}')
            reply.close()

        if gateway_is_first:
            answer()
        began = time.monotonic()
        listening = php_open(shared, answers)
        if not gateway_is_first:
            answer()
        # What came together with the answer to its request it would have thrown away.
        assert listening.is_silent_for(0.1 - (time.monotonic() - began))
        assert listening.frame() == (0x81, b'{"response_code":"0000"}')
        listening.close()
        asking.close()


def test_a_flood_on_its_topic_comes_after_the_handshake_too(shared):
    flood = shared.client("php-flood", "other")
    for _ in range(50):
        flood.send("x")
    began = time.monotonic()
    client = php_open(shared, "php-flood")
    for _ in range(50):
        flood.send("y")
    assert client.is_silent_for(0.1 - (time.monotonic() - began))
    assert [client.frame() for _ in range(100)] == [(0x81, b"x")] * 50 + [(0x81, b"y")] * 50


def test_it_is_not_asked_whether_it_is_there_while_it_waits_for_an_answer(shared):
    """It would take a ping for the end of an empty answer; it waits for 10 s at most."""
    assert Limits().ping_s > 10


def test_an_empty_pong_counts_as_a_sign_of_life(broker):
    one = broker(ping_s=0.2, pong_s=0.3, look_s=0.05)
    client = php_open(one, "a")
    for _ in range(2):
        assert client.frame() == (0x89, b"")
        client.send(masked(b"", 0x8A))
    one.client("a", "other").send("still here")
    while (frame := client.frame())[0] == 0x89:
        client.send(masked(b"", 0x8A))
    assert frame == (0x81, b"still here")


def test_php_itself_publishes_and_gets_its_answer(shared):
    needs.other_program("php")
    device = shared.listener("php-real")
    script = Path(__file__).with_name("publisher.php")
    running = subprocess.Popen(
        ["php", str(script), str(shared.port), "php-real", "php-answers"], stdout=subprocess.PIPE, text=True
    )
    assert heard(device) == '{"command":"get-modem-list","callback_topic":"php-answers"}'
    reply = shared.client("php-answers")
    reply.send('{"response_code":"0000","data":"' + "x" * 3000 + '"}')
    reply.close()
    said, _ = running.communicate(timeout=20)
    assert (running.returncode, said) == (0, "0000 3000\n")

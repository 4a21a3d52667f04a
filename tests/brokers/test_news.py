"""What comes from the network, published at a broker."""

import json
import time

import pytest
from redis import Redis

from tests.broker_servers.server import HOST, PASSWORD, USER
from tests.gateway_under_test import Sim


@pytest.fixture
def one(gateway, redis_server):
    redis_server.reset()
    login = {"host": HOST, "port": redis_server.port, "username": USER, "password": PASSWORD}
    one = gateway(modems=(Sim(),), brokers={"redis": {**login, "received_topic": "news"}})
    one.wait_until(lambda: one.broker("redis")["state"] == "connected")
    return one


@pytest.fixture
def news(one, redis_server):
    """What is published from now on."""
    with Redis(HOST, redis_server.port, username=USER, password=PASSWORD) as client:
        with client.pubsub(ignore_subscribe_messages=True) as heard:
            heard.subscribe("news")
            heard.get_message(timeout=5)

            def next_one():
                end = time.monotonic() + 10
                while (message := heard.get_message(timeout=0.2)) is None:
                    assert time.monotonic() < end, "nothing came"
                return json.loads(message["data"])

            yield next_one


def test_a_received_message_is_published_with_its_text(one, news):
    one.lines["m0"].deliver("+6281200000009", "Halo dari luar")
    told = news()
    assert told["command"] == "received-sms"
    data = told["data"]
    assert (data["sender"], data["message"], data["is_complete"]) == (
        "+6281200000009",
        "Halo dari luar",
        True,
    )


def test_what_became_of_a_message_is_published_under_its_id(one, news):
    from otppi.gateway.reports import ReportSettings

    one.gateway.store.update(ReportSettings, {"ask": True})
    sent = one.call("send-sms", receiver="081200000001", message="hello", id=1)
    told = news()
    assert told["command"] == "delivery-report"
    assert told["data"]["message_id"] == sent.json["data"]["message_id"]
    assert told["data"]["outcome"] == "delivered"
    assert "0000001" not in told["data"]["receiver"]

import pytest

from otppi.brokers.kinds import KINDS
from otppi.brokers.settings import AmqpSettings, MqttSettings
from otppi.web.outcomes import BROKERS

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"


def test_every_kind_of_broker_has_its_page_and_its_name():
    assert {kind.section.key: kind.section.title for kind in KINDS} == BROKERS


def test_all_brokers_are_off_at_first(pages, owner):
    page = owner.get("/brokers")
    assert page.visible.count("switched off") == len(KINDS)
    assert "Test the connection" not in page.visible


def test_says_what_keeps_it_from_connecting(pages, owner, free_port):
    owner.post("/brokers/amqp", {"amqp.enabled": "on", "amqp.port": str(free_port())})
    pages.wait_until(lambda: "Nothing listens" in owner.get("/brokers").visible)
    for path in ("/brokers", "/brokers/amqp", "/"):
        assert "Nothing listens at that host and port" in owner.get(path).visible, path
    tested = owner.follow(owner.post("/brokers/amqp/test"))
    assert "Nothing listens at that host and port" in tested.visible
    assert "broker RabbitMQ" in owner.get("/diagnosis").visible
    assert "made anew" in owner.follow(owner.post("/brokers/amqp/reconnect")).visible
    assert '<a href="/brokers"' in owner.get("/").text.split('id="doors"')[1]


def test_a_broker_that_is_not_connected_is_a_problem_and_the_way_to_its_page_is_shown(
    pages, owner, free_port
):
    assert not [check for check in pages.gateway.diagnose() if check["name"].startswith("broker")]
    owner.post("/brokers/amqp", {"amqp.enabled": "on", "amqp.port": str(free_port())})
    pages.wait_until(lambda: "Nothing listens" in owner.get("/brokers").visible)
    (check,) = (one for one in pages.gateway.diagnose() if one["name"] == "broker RabbitMQ")
    assert (check["level"], check["advice"]) == ("red", "Test the connection: otppi broker test amqp")
    page = owner.get("/diagnosis")
    assert "Test the connection. Open the page “" in page.visible
    assert "otppi broker" not in page.visible
    assert '<a href="/brokers">' in page.text


def test_metrics_tell_of_the_brokers_that_are_switched_on(pages, owner, free_port):
    assert 'broker="' not in owner.get("/metrics").text
    owner.post("/brokers/amqp", {"amqp.enabled": "on", "amqp.port": str(free_port())})
    seen = owner.get("/metrics").text
    assert 'otppi_broker_connected{broker="amqp"} 0.0' in seen
    for what in ("received", "done", "dead", "later"):
        assert f'otppi_broker_{what}_total{{broker="amqp"}} 0.0' in seen
    assert 'broker="mqtt"' not in seen


def test_secrets_are_kept_and_not_shown(pages, owner):
    store = pages.gateway.store
    given = {"amqp.password": "geheim", "amqp.client_certificate": CERTIFICATE, "amqp.client_key": KEY}
    assert "Saved." in owner.follow(owner.post("/brokers/amqp", given)).visible
    page = owner.get("/brokers/amqp")
    assert "geheim" not in page.text
    assert "PRIVATE KEY" not in page.text
    assert "BEGIN CERTIFICATE" in page.text
    owner.post("/brokers/amqp", {"amqp.topic": "kode", "amqp.password": "", "amqp.client_key": ""})
    kept = store.get(AmqpSettings)
    assert (kept.topic, kept.password, kept.client_key) == ("kode", "geheim", KEY)
    stored = "".join(one.read_text() for one in (pages.state_dir / "settings").rglob("amqp*"))
    assert "geheim" not in stored
    assert "PRIVATE KEY" not in stored


@pytest.mark.parametrize(
    ("broker", "given", "words"),
    [
        ("amqp", {"topic": "sms/#"}, "must be letters"),
        ("amqp", {"topic": "a", "received_topic": "a"}, "another topic"),
        ("amqp", {"client_certificate": CERTIFICATE}, "give certificate and key"),
        ("amqp", {"ca_certificate": "no certificate"}, "certificates as PEM"),
        ("amqp", {"host": "a b"}, "a host name"),
        ("mqtt", {"share_group": "g", "version": "3.1.1"}, "needs version 5"),
        ("ws", {"path": "ws"}, "must be a path"),
    ],
)
def test_says_beside_the_field_what_is_wrong(pages, owner, broker, given, words):
    answer = owner.post(f"/brokers/{broker}", {f"{broker}.{name}": value for name, value in given.items()})
    assert answer.status == 422
    assert words in answer.visible
    assert pages.gateway.store.get(MqttSettings).share_group == ""


def test_an_operator_may_try_and_not_change(pages, owner, operator):
    owner.post("/brokers/amqp", {"amqp.enabled": "on", "amqp.port": "1"})
    page = operator.get("/brokers")
    assert "Test the connection" in page.visible
    assert "Settings" not in page.text.split('id="brokers"')[1]
    assert operator.get("/brokers/amqp").status == 403
    assert "Nothing listens" in operator.follow(operator.post("/brokers/amqp/test")).visible

from tests.broker_servers.websocket import WebSocketServer
from tests.brokers import targets
from tests.brokers.under_fire import under_fire


def test_every_message_arrives_and_only_what_was_in_flight_at_a_kill_is_doubled(make_service, target):
    outcome = under_fire(make_service, target)
    assert outcome.is_as_promised, outcome


def test_of_a_broker_that_keeps_nothing_nothing_is_doubled_and_the_connection_heals(make_service):
    with WebSocketServer() as server:
        outcome = under_fire(make_service, targets.ws(server), is_durable=False)
    assert outcome.heals, outcome
    assert outcome.copies == 0, outcome

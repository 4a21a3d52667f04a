from tests.brokers.under_fire import under_fire


def test_every_message_arrives_and_only_what_was_in_flight_at_a_kill_is_doubled(make_service, target):
    outcome = under_fire(make_service, target)
    assert outcome.is_as_promised, outcome

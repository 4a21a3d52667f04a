import itertools

import pytest

from otppi.wsbroker.hub import Hub, Message

MEMORY_S = 5.0


class Client:
    """Takes everything at once, unless a test says that nothing comes through any more."""

    def __init__(self, topic: str = "sms", user: str = "device", since_s: float = 0.0) -> None:
        self.topic, self.user, self.since_s, self.has_spoken = topic, user, since_s, False
        self.messages: list[str] = []
        self.taken: float = float("inf")

    def give(self, message: Message) -> int:
        self.messages.append(message.data.decode())
        return len(self.messages)

    def has_taken(self, place: int) -> bool:
        return place <= self.taken


@pytest.fixture
def hub() -> Hub:
    return Hub(MEMORY_S)


def joined(hub: Hub, client: Client, now: float | None = None) -> Client:
    hub.join(client, client.since_s if now is None else now)
    return client


def say(hub: Hub, sender: Client, text: str, now: float) -> int:
    return hub.publish(sender, Message(text.encode(), is_text=True), now)


def test_all_on_the_topic_but_the_sender_get_a_message(hub):
    sender, one, two = (joined(hub, Client()) for _ in range(3))
    elsewhere = joined(hub, Client("other"))
    assert say(hub, sender, "a", 1) == 2
    assert (one.messages, two.messages, sender.messages, elsewhere.messages) == (["a"], ["a"], [], [])


def test_who_has_left_gets_nothing(hub):
    gone, sender = joined(hub, Client()), Client(user="shop")
    hub.leave(gone)
    assert say(hub, sender, "a", 1) == 0
    assert gone.messages == []


def test_an_answer_waits_for_who_asked_and_is_not_there_yet(hub):
    say(hub, Client("answers", user="device"), "answer", 1)
    assert joined(hub, Client("answers", user="shop", since_s=3)).messages == ["answer"]


def test_the_answer_comes_with_one_account_for_all_as_well(hub):
    say(hub, Client("answers"), "answer", 1)
    assert joined(hub, Client("answers", since_s=1.2)).messages == ["answer"]


def test_a_consumer_that_comes_back_gets_what_it_missed_and_nothing_twice(hub):
    before, shop = joined(hub, Client()), joined(hub, Client(user="shop"))
    say(hub, shop, "a", 1)
    hub.leave(before)
    say(hub, shop, "b", 2)
    say(hub, shop, "c", 2.5)
    back = joined(hub, Client(since_s=3), now=3.15)
    say(hub, shop, "d", 4)
    assert (before.messages, back.messages) == (["a"], ["b", "c", "d"])
    hub.leave(back)
    assert joined(hub, Client(since_s=4.5)).messages == []


def test_another_consumer_gets_what_it_missed_though_one_was_there(hub):
    shop = Client(user="shop")
    joined(hub, Client(user="logger"))
    say(hub, shop, "a", 1)
    assert joined(hub, Client(since_s=2)).messages == ["a"]
    assert joined(hub, Client(user="third", since_s=3)).messages == ["a"]


def test_what_was_written_to_a_dead_connection_comes_again(hub):
    dead, shop = joined(hub, Client()), Client(user="shop")
    say(hub, shop, "a", 1)
    dead.taken = 1
    say(hub, shop, "b", 2)
    say(hub, shop, "c", 2)
    assert joined(hub, Client(since_s=3)).messages == ["b", "c"]


def test_memory_ends(hub):
    say(hub, Client(user="shop"), "a", 1)
    assert joined(hub, Client(since_s=1 + MEMORY_S)).messages == []


def test_a_publisher_does_not_use_up_what_is_meant_for_the_consumer(hub):
    """One account for all: a request on another connection comes, sends and stays while the device is away."""
    say(hub, Client(), "a", 1)
    publisher = Client(since_s=1.5)
    say(hub, publisher, "b", 1.6)
    hub.join(publisher, 1.7)
    say(hub, Client(since_s=1.8), "c", 1.8)
    assert publisher.messages == ["c"]
    assert joined(hub, Client(since_s=2)).messages == ["a", "b", "c"]


def test_a_slow_publisher_does_not_use_it_up_either(hub):
    say(hub, Client(), "a", 1)
    publisher = joined(hub, Client(since_s=1.5))
    assert publisher.messages == ["a"]
    say(hub, publisher, "b", 2)
    assert joined(hub, Client(since_s=3)).messages == ["a", "b"]


def test_nobody_hears_itself_not_even_late(hub):
    sender = Client(since_s=0)
    say(hub, sender, "a", 0.1)
    assert joined(hub, sender, 0.2).messages == []


def test_what_is_sent_while_a_newcomer_waits_for_its_turn_is_not_lost(hub):
    """A second consumer of the same account, and a client that asks and listens on one topic."""
    joined(hub, Client())
    second, asks = Client(since_s=1), Client(since_s=1)
    say(hub, asks, "question", 1.05)
    say(hub, Client(user="shop"), "a", 1.1)
    hub.join(second, 1.15)
    hub.join(asks, 1.15)
    assert (second.messages, asks.messages) == (["question", "a"], ["a"])


def test_memory_is_bounded_for_a_topic_and_the_newest_stays(hub):
    shop = Client(user="shop")
    for number in range(6000):
        say(hub, shop, str(number), 1)
    kept = joined(hub, Client(since_s=2)).messages
    assert 4000 < len(kept) < 4100
    assert kept == [str(number) for number in range(6000 - len(kept), 6000)]


def test_long_messages_are_remembered_in_smaller_numbers(hub):
    for number in range(40):
        say(hub, Client(user="shop"), f"{number} {'x' * 65_000}", 1)
    kept = joined(hub, Client(since_s=2)).messages
    assert [text.split()[0] for text in kept] == [str(number) for number in range(8, 40)]


def test_memory_of_all_topics_together_is_bounded_and_others_lose_nothing_to_one_that_is_loud(hub):
    say(hub, Client("quiet", "shop"), "a", 1)
    for topic, number in itertools.product(range(20), range(40)):
        say(hub, Client(f"loud {topic}", "shop"), f"{number} {'x' * 65_000}", 1)
    kept = [len(joined(hub, Client(f"loud {topic}", since_s=2)).messages) for topic in range(20)]
    assert sum(kept) * 65_000 < 16 * 1024 * 1024
    assert kept[0] == 32
    assert joined(hub, Client("quiet", since_s=2)).messages == ["a"]


def test_nothing_stays_of_topics_that_are_over(hub):
    client = joined(hub, Client())
    say(hub, Client("asked", "shop"), "a", 1)
    hub.forget(1 + MEMORY_S)
    hub.leave(client)
    hub.leave(Client("never joined"))
    assert not hub._topics
    assert hub._kept_bytes == 0


def test_a_member_that_leaves_while_it_is_given_something_does_no_harm(hub):
    class Leaving(Client):
        def give(self, message: Message) -> int:
            hub.leave(self)
            return super().give(message)

    joined(hub, Leaving())
    last = joined(hub, Client())
    assert say(hub, Client(user="shop"), "a", 1) == 2
    assert last.messages == ["a"]

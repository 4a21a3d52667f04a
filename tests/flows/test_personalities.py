"""One gateway with a modem of every make that the simulator knows."""

from otppi.services.control import call
from otppi.sim.personality import personality_names
from tests.gateway_under_test import Sim


def test_every_make_of_modem_sends_and_receives(gateway):
    prefixes = {name: f"62812{number:02}" for number, name in enumerate(personality_names())}
    one = gateway(
        modems=tuple(Sim(name=name, personality=name, prefixes=(prefixes[name],)) for name in prefixes)
    )
    for name, prefix in prefixes.items():
        assert one.call("send-sms", receiver=f"{prefix}000001", message=f"by {name}").code == "0000"
        assert one.texts(name) == [f"by {name}"]
        one.lines[name].deliver("BANK", f"to {name}")

    def received():
        page = call(one.state_dir, "inbox.list", {"search": "", "offset": 0, "count": 50}, 10)
        return {(message["modem"], message["text"]) for message in page["messages"]}

    one.wait_until(lambda: received() == {(name, f"to {name}") for name in prefixes})
    one.wait_until(lambda: not any(len(line.card.messages) for line in one.lines.values()))
    assert [line.offences for line in one.lines.values()] == [[] for _ in prefixes]

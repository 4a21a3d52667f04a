"""From a sender's phone through the modem into the inbox, with the service dying at every step."""

import shutil
from contextlib import suppress

import pytest
from click.testing import CliRunner

from otppi.gateway.inbox import Inbox, InboxSettings
from otppi.gateway.reports import ReportSettings
from otppi.lib.bus import Bus
from otppi.lib.wakeup import Wakeup
from otppi.model.events import DeliveryReported
from otppi.model.received_pdu import ReportOutcome
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.families.generic import GENERIC
from otppi.modems.reading import Reading
from otppi.modems.transport import SerialLine, SerialTransport
from otppi.services.cli import main
from otppi.services.control import Refused, call
from otppi.sim.faults import Faults
from otppi.sim.line import SimModems
from tests.gateway_under_test import Sim

LONG = "".join(f"{number:04} " for number in range(100))  # four parts


class Died(BaseException):
    """The process is gone."""


class DyingChannel(Channel):
    """A channel whose process dies instead of giving a certain command."""

    dies_at = 1_000_000

    def command(self, text, **options):
        self.dies_at -= 1
        if self.dies_at < 0:
            raise Died
        return super().command(text, **options)


@pytest.fixture
def line(tmp_path):
    with SimModems(tmp_path / "modems") as sim:
        yield sim.add("m0")


def read_once(line, folder, clock, dies_at=1_000_000):
    """Start, sweep once and end, or die; return what is in the inbox."""
    bus, wakeup = Bus(), Wakeup()
    inbox = Inbox(folder, InboxSettings, bus, clock)
    transport = SerialTransport(str(line.path), SerialLine(), wakeup)
    reading = Reading("m0", inbox, None)
    channel = DyingChannel(transport, reading.hear)
    try:
        channel.command("ATE0")
        channel.command("AT+CMGF=0")
        reading.set_up(channel, GENERIC, line.card.printed.iccid)
        channel.dies_at = dies_at
        reading.sweep(channel)
    except Died:
        pass
    finally:
        transport.close()
        wakeup.close()
        texts = [message.text for message in inbox.page().messages]
        inbox.stop()
        bus.stop()
    return texts


@pytest.mark.parametrize("step", range(12))
def test_dying_at_any_step_neither_loses_nor_doubles_a_message(line, tmp_path, clock, step):
    line.deliver("+6281200000001", "one")
    line.deliver("BANK", LONG)
    line.deliver("+6281200000001", "two")
    read_once(line, tmp_path / "inbox", clock, dies_at=step)
    assert read_once(line, tmp_path / "inbox", clock) == ["two", LONG, "one"]
    assert len(line.card.messages) == 0


def test_lost_bytes_lose_no_message(line, tmp_path, clock):
    """On a bad line a sweep may fail; the SIM keeps what was not read whole."""
    for number in range(15):
        line.deliver("+6281200000001", f"{number:03} " * 35)
    wanted = {f"{number:03} " * 35 for number in range(15)}
    for seed in range(1, 4):
        line.set_faults(Faults(lost_fraction=0.0003, lost_seed=seed))
        with suppress(AtRefused, NoAnswer):  # what the modem's thread recovers from
            assert set(read_once(line, tmp_path / "inbox", clock)) <= wanted
    line.set_faults(Faults())
    assert set(read_once(line, tmp_path / "inbox", clock)) == wanted


def command(one, *words):
    done = CliRunner().invoke(main, [words[0], words[1], "--state-dir", str(one.state_dir), *words[2:]])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def listed(one, search=""):
    return call(one.state_dir, "inbox.list", {"search": search, "offset": 0, "count": 50}, 10)["messages"]


def test_a_message_leaves_the_sim_and_is_its_owners_to_read_and_delete(gateway):
    one = gateway()
    line = one.lines["m0"]
    line.deliver("BANK", LONG)
    line.deliver("+6281200000001", "hello \u4e16 \x1b[2J")
    one.wait_until(lambda: len(listed(one)) == 2)
    one.wait_until(lambda: len(line.card.messages) == 0)
    short, long = listed(one)
    assert (long["sender"], long["text"], long["parts"], long["modem"]) == ("BANK", LONG, 4, "m0")
    assert command(one, "inbox", "show", long["id"]).splitlines()[1] == LONG
    assert "hello \u4e16 \ufffd[2J" in command(one, "inbox", "search", "HELLO")
    assert [line[0] for line in command(one, "inbox", "list").splitlines()] == ["*", " "]
    command(one, "inbox", "delete", short["id"])
    one.restart()
    assert [message["id"] for message in listed(one)] == [long["id"]]


def test_messages_go_out_while_none_can_be_kept(gateway):
    one = gateway()
    one.gateway.stop()
    shutil.rmtree(one.state_dir / "inbox")
    (one.state_dir / "inbox").write_text("no folder")
    one.lines["m0"].deliver("BANK", "kept by the SIM")
    one.start()
    assert one.call("send-sms", receiver="081200000091", message="out").code == "0000"
    assert len(one.lines["m0"].card.messages) == 1
    (one.state_dir / "inbox").unlink()
    one.restart()
    one.wait_until(lambda: [message["text"] for message in listed(one)] == ["kept by the SIM"])


def test_a_report_is_told_of_the_message_that_it_is_about(gateway):
    one = gateway()
    told = []
    one.gateway.bus.subscribe("test", told.append, DeliveryReported)
    one.call("send-sms", receiver="081200000091", message="nobody asked")
    one.gateway.store.update(ReportSettings, {"ask": True})
    assert one.call("send-sms", receiver="081200000092", message=LONG).code == "0000"
    one.wait_until(lambda: told)
    assert [(news.outcome, news.masked_number, news.modem_id) for news in told] == [
        (ReportOutcome.DELIVERED, "62812\u2022\u2022\u2022\u2022\u2022\u202292", "m0")
    ]
    assert listed(one) == []


def test_a_balance_that_comes_as_a_message_is_read_only_when_it_was_asked_for(gateway):
    one = gateway(modems=(Sim(settings={"balance_ussd": "*888#"}),))
    line = one.lines["m0"]
    line.deliver("OPERATOR", "Sisa pulsa Rp99.000")
    one.wait_until(lambda: len(listed(one)) == 1)
    with pytest.raises(Refused, match="no balance"):
        call(one.state_dir, "balance.ask", {"modem": "m0"}, 30)
    line.deliver("+6281200000001", "Sisa pulsa Rp77.000")
    line.deliver("OPERATOR", "Sisa pulsa Rp4.500")
    one.wait_until(lambda: "amount" in call(one.state_dir, "balance.list", {}, 10)[0])
    assert call(one.state_dir, "balance.list", {}, 10)[0]["amount"] == "4500"

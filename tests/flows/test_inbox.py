"""From a sender's phone through the modem into the inbox, with the service dying at every step."""

import shutil
from contextlib import suppress

import pytest
from click.testing import CliRunner

import otppi.modems.modem
from otppi.gateway.inbox import Inbox, InboxSettings
from otppi.gateway.reports import ReportSettings
from otppi.lib.bus import Bus
from otppi.lib.wakeup import Wakeup
from otppi.model.events import DeliveryReported, MessageFinished, ModemStateChanged
from otppi.model.received_pdu import ReportOutcome
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.families.generic import GENERIC
from otppi.modems.reading import Reading
from otppi.modems.settings import ModemSettings
from otppi.modems.transport import SerialLine, SerialTransport
from otppi.services.cli import main
from otppi.services.control import Refused, call
from otppi.sim.faults import Faults
from otppi.sim.line import SimModems
from otppi.sim.personality import parse_personality
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


def test_a_message_that_the_modem_does_not_tell_of_is_found_while_it_serves(gateway, monkeypatch):
    monkeypatch.setattr(otppi.modems.modem, "_PROBE_INTERVAL_S", 0.2)
    monkeypatch.setattr(otppi.modems.modem, "_SWEEP_INTERVAL_S", 0.2)
    quiet = parse_personality("quiet", "\n".join(f"{command}  ERROR" for command in GENERIC.indications))
    one = gateway(modems=(Sim(name="m0", personality=quiet),))
    changes = []
    one.gateway.bus.subscribe("test", changes.append, ModemStateChanged)
    one.lines["m0"].deliver("BANK", "nobody said so")
    one.wait_until(lambda: [message["text"] for message in listed(one)] == ["nobody said so"])
    one.wait_until(lambda: len(one.lines["m0"].card.messages) == 0)
    assert changes == []  # it was not found by setting the modem up anew
    assert not any(b"+CMTI" in data for _, _, data in one.lines["m0"].log)


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
    sent = one.call("send-sms", receiver="081200000092", message=LONG, id="the caller's own")
    one.wait_until(lambda: told)
    assert [(news.message_id, news.outcome, news.masked_number, news.modem_id) for news in told] == [
        (
            sent.json["data"]["message_id"],
            ReportOutcome.DELIVERED,
            "62812\u2022\u2022\u2022\u2022\u2022\u202292",
            "m0",
        )
    ]
    assert listed(one) == []


def test_answers_reports_and_the_log_call_a_code_and_its_message_by_one_name(gateway, caplog):
    caplog.set_level("INFO")
    one = gateway()
    told = []
    one.gateway.bus.subscribe("test", told.append, DeliveryReported, MessageFinished)
    one.gateway.store.update(ReportSettings, {"ask": True})
    otp = {"receiver": "081200000092", "message": "%s", "reference": "r"}
    answers = [
        one.call("request-otp", **otp),
        one.call("send-sms", receiver="081200000091", message="one", id=7),
        one.call("send-sms", receiver="081200000091", message="one", id=7),  # a repeat has the first one's
    ]
    code, message, repeat = [answer.json["data"]["message_id"] for answer in answers]
    assert code != message == repeat
    one.wait_until(lambda: len(told) == 4)
    for kind in (DeliveryReported, MessageFinished):
        assert sorted(news.message_id for news in told if isinstance(news, kind)) == sorted([code, message])

    def logged(line):
        records = [record for record in caplog.records if record.getMessage() == line]
        return sorted(record.fields["message_id"] for record in records)

    for line in ("sms sent", "sms reported"):
        one.wait_until(lambda line=line: logged(line) == sorted([code, message]))


def reply(one, *words, given=None):
    return CliRunner().invoke(
        main, ["inbox", "reply", "--state-dir", str(one.state_dir), *words], input=given
    )


def test_a_reply_goes_to_the_sender_through_the_modem_whose_sim_was_written_to(gateway):
    one = gateway(modems=(Sim(name="cheap", prefixes=("62812",)), Sim(name="asked")))
    one.lines["asked"].deliver("+6281200000001", "Are you open?")
    one.wait_until(lambda: listed(one))
    (question,) = listed(one)
    done = reply(one, question["id"], "-", given="Yes, until five\n")
    assert (done.exit_code, done.stdout) == (0, "sent in 1 part\n"), done.stderr
    (sms,) = one.lines["asked"].sent
    assert (sms.submitted.number, one.texts("asked")) == ("6281200000001", ["Yes, until five"])
    assert one.texts("cheap") == []


def test_a_reply_from_another_number_is_sent_only_if_its_owner_says_so(gateway):
    one = gateway(modems=(Sim(name="other"), Sim(name="asked")))
    line = one.lines["asked"]
    line.deliver("+6281200000001", "Are you open?")
    one.wait_until(lambda: listed(one))
    (question,) = listed(one)
    line.unplug()
    one.wait_until(lambda: one.state("asked") == "absent")
    refused = reply(one, question["id"], "Yes")
    assert refused.exit_code == 1
    assert "1101 the modem asked cannot send it: absent; let any modem send it" in refused.stderr
    one.gateway.store.remove(ModemSettings, "asked")
    one.wait_until(lambda: len(one.gateway.pool.snapshot()) == 1)
    refused = reply(one, question["id"], "Yes")
    assert (refused.exit_code, one.texts()) == (1, [])
    assert "the SIM that got it is in no modem now; let any modem send it" in refused.stderr
    assert reply(one, "--any-modem", question["id"], "Yes").exit_code == 0
    assert one.texts("other") == ["Yes"]


def test_a_reply_follows_the_sim_into_another_modem(gateway):
    one = gateway(modems=(Sim(name="old"), Sim(name="new")))
    one.lines["old"].deliver("+6281200000001", "Are you open?")
    one.wait_until(lambda: listed(one))
    (question,) = listed(one)
    one.gateway.stop()
    old, new = one.lines["old"].card, one.lines["new"].card
    old.printed, new.printed = new.printed, old.printed
    one.start()
    assert reply(one, question["id"], "Yes").exit_code == 0
    assert one.texts("new") == ["Yes"]


def test_nobody_can_reply_to_a_name_or_to_a_message_that_is_not_there(gateway):
    one = gateway()
    one.lines["m0"].deliver("BANK", "Your code is 1234")
    one.wait_until(lambda: listed(one))
    refused = reply(one, listed(one)[0]["id"], "Thanks")
    assert (refused.exit_code, "gave no number, only a name" in refused.stderr) == (1, True)
    refused = reply(one, "none", "Thanks")
    assert (refused.exit_code, "there is no such message" in refused.stderr) == (1, True)
    assert one.texts() == []


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

"""Every text arrives as it was sent, both ways.

The usual run tries a few hundred; `make campaign-pdu` tries 100,000, which takes some 15 minutes.
"""

import os
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otppi.model import gsm7
from otppi.model.network_pdu import deliver_pdus, status_report_pdu
from otppi.model.pdu import Concat, decode_submit, submit_pdus
from otppi.model.received_pdu import Delivered, Party, StatusReport, decode_received, mended
from otppi.model.sms_text import code_text

ROUND_TRIPS = int(os.environ.get("OTPPI_ROUND_TRIPS", "200"))

pytestmark = pytest.mark.timeout(max(120, ROUND_TRIPS // 20))
campaign = settings(max_examples=ROUND_TRIPS, deadline=None, suppress_health_check=[HealthCheck.too_slow])

GSM_CHARACTERS = "".join(char for char in gsm7.DEFAULT_ALPHABET if char != "\x1b")
any_characters = st.characters(exclude_categories=["Cs"])
pieces = st.one_of(
    st.text(st.sampled_from(GSM_CHARACTERS + "".join(gsm7.DEFAULT_EXTENSION.values())), max_size=200),
    st.text(any_characters, max_size=200),
)
# Long texts are rare among generated ones, and the cuts are what matters.
texts = st.one_of(pieces, st.builds(lambda piece, times: piece * times, pieces, st.integers(2, 8)))
digits = st.from_regex(r"[1-9][0-9]{2,14}", fullmatch=True)
names = st.text(st.sampled_from(GSM_CHARACTERS), min_size=1, max_size=11).filter(
    lambda name: name.isprintable() and name == name.strip() and not name.endswith("@")
)
parties = st.one_of(
    digits.map(lambda number: Party("+" + number)),
    digits.map(Party),
    names.map(lambda name: Party(name, is_name=True)),
)
zones = st.integers(-48, 56).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
moments = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2089, 12, 31), timezones=zones).map(
    lambda moment: moment.replace(microsecond=0)
)


def as_sent(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@campaign
@given(texts, digits, st.integers(0, 255), st.none() | st.integers(1, 604_800), st.booleans())
def test_what_is_submitted_is_read_by_the_network(text, number, reference, validity_s, wants_report):
    pdus = submit_pdus(
        number,
        len(number) <= 6,
        code_text(text),
        concat_reference=reference,
        validity_s=validity_s,
        wants_report=wants_report,
    )
    parts = [decode_submit(pdu.hex) for pdu in pdus]
    assert "".join(part.text for part in parts) == as_sent(text)
    assert {(part.number, part.wants_report) for part in parts} == {(number, wants_report)}


@campaign
@given(texts, parties, moments, st.integers(0, 255))
def test_what_the_network_delivers_is_read(text, sender, sent_at, reference):
    pdus = deliver_pdus(sender, text, sent_at=sent_at, concat_reference=reference)
    parts = [decode_received(pdu) for pdu in pdus]
    assert all(isinstance(part, Delivered) for part in parts)
    assert mended("".join(part.text for part in parts)) == as_sent(text)
    assert {(part.sender, part.sent_at, part.is_data) for part in parts} == {(sender, sent_at, False)}
    numbers = range(1, len(pdus) + 1)
    expected = [Concat(reference, len(pdus), number) for number in numbers] if len(pdus) > 1 else [None]
    assert [part.concat for part in parts] == expected


@campaign
@given(st.integers(0, 255), parties, st.integers(0, 255), moments, moments)
def test_what_the_network_reports_is_read(reference, receiver, status, sent_at, discharged_at):
    pdu = status_report_pdu(reference, receiver, status, sent_at=sent_at, discharged_at=discharged_at)
    assert decode_received(pdu) == StatusReport(
        reference=reference, receiver=receiver, status=status, sent_at=sent_at, discharged_at=discharged_at
    )

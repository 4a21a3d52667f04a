from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.model import gsm7
from otppi.model.network_pdu import deliver_pdus, status_report_pdu, time_stamp, tpdu_octets
from otppi.model.pdu import Concat, PduError, submit_pdus
from otppi.model.received_pdu import (
    Delivered,
    Party,
    ReportOutcome,
    StatusReport,
    decode_received,
    mended,
    report_outcome,
)
from otppi.model.sms_text import code_text

JAKARTA = timezone(timedelta(hours=7))
SENT_AT = datetime(2026, 11, 21, 9, 30, 15, tzinfo=JAKARTA)
SENDER = Party("+6281200000001")

# A DELIVER from +6281200000001, up to its TP-DCS, and the time of the SMS centre.
HEAD = "00" "04" "0D91261802000000F1" "00"  # fmt: skip
HEAD_WITH_HEADER = "00" "44" "0D91261802000000F1" "00"  # fmt: skip
TIME = "62111290035182"


def read(pdu: str) -> Delivered:
    received = decode_received(pdu)
    assert isinstance(received, Delivered)
    return received


# --- as real networks write them; numbers are invented, and digits of texts that were numbers --------------------


@pytest.mark.parametrize(
    ("pdu", "sender", "sent_at", "text"),
    [
        pytest.param(
            "0791261801000000" "04" "0D91261802000000F1" "0000" "1120821105050A" "6A"
            "C8B2BC7C9A83C220F6DB7D2ECB41EDF27C1E3E97411BDE06754FD3D1A0F9BB5D0695F1F4B29B5C2683C6E8B03C3CA697E5F34D6A"
            "E303D1D1F2F7DD0D4ABB59A0797D8C0685E7A00028EC26832A960B28EC2683BE6050780EBA97D96C17",
            "+6281200000001", datetime(2011, 2, 28, 11, 50, 50, tzinfo=timezone(timedelta(hours=-5))),
            "Here's a longer message [{with some extended characters}] thrown in, such as £ and ΩΠΨ and §¿ as well.",
            id="extension table, time west of Greenwich",
        ),
        pytest.param(
            "0791261801000000" "04" "14D04937BD2C7797E9D3E614" "0008" "11309291024061" "08" "0442043504410442",
            "InternetSMS", datetime(2011, 3, 29, 19, 20, 4, tzinfo=timezone(timedelta(hours=4))),
            "\u0442\u0435\u0441\u0442", id="a name, UCS-2",
        ),
        pytest.param(
            "0791261801000000" "04" "0485" "8100" "00" "F1" "11604231805180" "0AE8329BFD4697D9EC37",
            "1800", datetime(2011, 6, 24, 13, 8, 15, tzinfo=timezone(timedelta(hours=2))),
            "hellohello", id="short code, message class 1",
        ),
        pytest.param(
            "0791261801000000" "04" "0BC81802000010F0" "0000" "993092516195" "80" "0AE8329BFD4697D9EC37",
            "81200000010", datetime(1999, 3, 29, 15, 16, 59, tzinfo=timezone(timedelta(hours=2))),
            "hellohello", id="a subscriber's number, of the last century",
        ),
    ],
)  # fmt: skip
def test_reads_what_networks_send(pdu, sender, sent_at, text):
    delivered = read(pdu)
    assert (delivered.sender.text, delivered.text) == (sender, text)
    assert delivered.sent_at == sent_at
    assert delivered.sent_at.utcoffset() == sent_at.utcoffset()


def test_parts_with_a_reference_of_16_bits():
    welcome = gsm7.pack(b"Welkom, bel om uw Voicemail te beluisteren", 0)
    delivered = read(
        "0791261801000000" "40" "04850120" "39" "00" "11609232239180" "32" "06080400100201" + welcome.hex()
    )  # fmt: skip
    assert (delivered.sender.text, delivered.concat) == ("1002", Concat(16, 2, 1))
    assert delivered.text == "Welkom, bel om uw Voicemail te beluisteren"


def test_a_status_report_of_a_network():
    report = decode_received("0791261801000000065A0D91261802000000F1219011700463802190117004638030")
    assert report == StatusReport(
        reference=0x5A,
        receiver=SENDER,
        sent_at=datetime(2012, 9, 11, 7, 40, 36, tzinfo=timezone(timedelta(hours=2))),
        discharged_at=datetime(2012, 9, 11, 7, 40, 36, tzinfo=timezone(timedelta(hours=2))),
        status=0x30,
    )
    assert report.outcome is ReportOutcome.TRYING


# --- octet by octet ------------------------------------------------------------------------------------------


def test_what_the_network_writes_is_what_the_standard_says():
    (pdu,) = deliver_pdus(SENDER, "hellohello", sent_at=SENT_AT)
    assert pdu == (
        "0891260800000000F0"  # SMSC
        "04"  # DELIVER, no more waiting
        "0D91261802000000F1"
        "00" "00"
        "62111290035182"  # 26-11-21 09:30:15, 28 quarters of an hour
        "0AE8329BFD4697D9EC37"
    )  # fmt: skip
    assert tpdu_octets(pdu) == 1 + 9 + 2 + 7 + 1 + 9
    assert status_report_pdu(7, SENDER, 0x46, sent_at=SENT_AT, discharged_at=SENT_AT) == (
        "0891260800000000F0" "06" "07" "0D91261802000000F1" "62111290035182" "62111290035182" "46"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("offset", "octet"),
    [
        (timedelta(0), 0x00),
        (timedelta(hours=7), 0x82),
        (timedelta(hours=-5), 0x0A),
        (timedelta(hours=-3, minutes=-30), 0x49),
    ],
)
def test_a_zone_is_written_in_quarters_of_an_hour(offset, octet):
    assert time_stamp(SENT_AT.astimezone(timezone(offset)))[-1] == octet


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("0D91" "261802000000F1", Party("+6281200000001")),
        ("0C81" "801200000010", Party("082100000001")),
        ("0CA1" "801200000010", Party("082100000001")),  # national
        ("0C80" "801200000010", Party("082100000001")),  # unknown type and plan
        ("0C11" "801200000010", Party("082100000001")),  # the top bit is missing
        ("0385" "88F8", Party("888")),
        ("0685" "A1CBED", Party("1*#abc")),
        ("0681" "21F3FF", Party("123")),  # fills that should not be there
        ("0091" "", Party("")),
        ("0000" "", Party("")),
    ],
)  # fmt: skip
def test_senders_of_every_kind_are_read(address, sender):
    assert read("0004" + address + "0000" + TIME + "02CF25").sender == sender


@pytest.mark.parametrize("name", ["A", "BANK", "Toko 99", "OTP-Pi!", "InternetSMS", "Café", "a[b]"])
def test_a_name_is_read_as_it_was_written(name):
    (pdu,) = deliver_pdus(Party(name, is_name=True), "x", sent_at=SENT_AT)
    assert read(pdu).sender == Party(name, is_name=True)


def test_a_name_of_seven_letters_has_no_at_sign_behind_it():
    # 14 semi-octets where 13 would do: the seven bits left over read as @.
    packed = gsm7.pack(b"Toko 99").hex()
    assert read("00040ED0" + packed + "0000" + TIME + "02CF25").sender.text == "Toko 99"


@pytest.mark.parametrize(
    ("dcs", "body", "text", "is_data"),
    [
        ("00", "02CF25", "OK", False),
        ("10", "02CF25", "OK", False),  # class 0
        ("0C", "02CF25", "OK", False),  # reserved alphabet
        ("40", "02CF25", "OK", False),  # automatic deletion
        ("80", "02CF25", "OK", False),  # reserved group
        ("C8", "02CF25", "OK", False),  # voice mail, discard
        ("D8", "02CF25", "OK", False),  # voice mail, store
        ("E8", "02263A", "\u263a", False),  # voice mail in UCS-2
        ("F0", "02CF25", "OK", False),
        ("08", "04D83DDD11", "\U0001f511", False),
        ("18", "0465E5263A", "\u65e5\u263a", False),
        ("48", "0265E5", "\u65e5", False),
        ("08", "0365E500", "\u65e5\ufffd", False),  # odd length
        ("08", "02D83D", "\ufffd", False),  # half a pair
        ("04", "03010203", "010203", True),
        ("F4", "03010203", "010203", True),
        ("F5", "03010203", "010203", True),
        ("20", "03010203", "010203", True),  # compressed
        ("2C", "03010203", "010203", True),
        ("00", "00", "", False),
    ],
)
def test_every_coding_group_is_read(dcs, body, text, is_data):
    delivered = read(HEAD + dcs + TIME + body)
    assert (delivered.text, delivered.is_data) == (text, is_data)


@pytest.mark.parametrize(
    ("dcs", "body", "text"),
    [
        ("00", "0AE8329BFD", "hell"),
        ("00", "A0", ""),
        ("00", "FF" + "E8329BFD4697D9EC37", "hellohello"),
        ("08", "0865E5", "\u65e5"),
        ("04", "080102", "0102"),
        ("00", "02CF25FFFF", "OK"),  # more than it says
        ("08", "0265E5FFFF", "\u65e5"),
    ],
)
def test_user_data_is_read_as_far_as_it_goes(dcs, body, text):
    assert read(HEAD + dcs + TIME + body).text == text


@pytest.mark.parametrize(
    ("dcs", "body", "text", "concat", "is_data"),
    [
        ("08", "08" "050003010201" "65E5", "\u65e5", Concat(1, 2, 1), False),
        ("08", "09" "06080401020302" "65E5", "\u65e5", Concat(0x0102, 3, 2), False),
        ("08", "08" "050003010203" "65E5", "\u65e5", None, False),  # part 3 of 2
        ("08", "08" "050002010265" "65E5", "\u65e5", None, False),  # of a wrong length
        ("08", "04" "050003", "", None, False),  # longer than what is there
        ("08", "00", "", None, False),  # a header was said to be there
        ("00", "05" "050003010201", "", Concat(1, 2, 1), False),  # fewer septets than the header takes
        ("04", "0A" "06050423F00000" "010203", "010203", None, True),  # ports: a push
        ("00", "0A" "06050423F00000" "CF25", "CF25", None, True),
        ("08", "07" "0404020B84" "65E5", "65E5", None, True),
        ("00", "0D" "03240101" + gsm7.pack(b"a\x1b\x28\x1bGb\x1b\x65", 3).hex(), "a{\ufffdb€", None, False),
        ("00", "0A" "03250106" + gsm7.pack(b"kod 1", 3).hex(), "kod 1", None, False),
        ("00", "09" "03250106" + gsm7.pack(b"A\x041@", 3).hex(), "\ufffd\ufffd1\ufffd", None, False),
        ("00", "09" "03250101" + gsm7.pack(b"A\x041@", 3).hex(), "A\ufffd1\ufffd", None, False),
        ("00", "08" "03250101" + gsm7.pack(b"1\x1bB", 3).hex(), "1B", None, False),
        ("00", "07" "03250101" + gsm7.pack(b"1\x1b", 3).hex(), "1 ", None, False),
    ],
)  # fmt: skip
def test_headers_are_read(dcs, body, text, concat, is_data):
    delivered = read(HEAD_WITH_HEADER + dcs + TIME + body)
    assert (delivered.text, delivered.concat, delivered.is_data) == (text, concat, is_data)


def test_a_pair_of_surrogates_that_the_network_cut_is_joined_again():
    first = read(HEAD_WITH_HEADER + "08" + TIME + "08" "050003010201" "D83D").text  # fmt: skip
    second = read(HEAD_WITH_HEADER + "08" + TIME + "08" "050003010202" "DD11").text  # fmt: skip
    assert mended(first + second) == "\U0001f511"
    assert mended(second + first) == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "stamp",
    [
        "00000000000000",
        "62311290035182",  # month 13
        "62201390035182",  # the 31st of February
        "FFFFFFFFFFFFFF",
        "62111290036A82",  # no decimal digit
        "62111290030682",  # second 60
    ],
)
def test_a_time_that_makes_no_sense_is_none(stamp):
    assert read(HEAD + "00" + stamp + "02CF25").sent_at is None


def test_a_time_zone_may_be_west_of_greenwich():
    assert read(HEAD + "00" + "6211129003514A" + "02CF25").sent_at == datetime(
        2026, 11, 21, 9, 30, 15, tzinfo=timezone(timedelta(hours=-6))
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x00, ReportOutcome.DELIVERED),
        (0x01, ReportOutcome.UNCONFIRMED),
        (0x02, ReportOutcome.UNCONFIRMED),
        (0x1F, ReportOutcome.UNCONFIRMED),
        (0x20, ReportOutcome.TRYING),
        (0x3F, ReportOutcome.TRYING),
        (0x40, ReportOutcome.FAILED),
        (0x46, ReportOutcome.EXPIRED),
        (0x60, ReportOutcome.FAILED),
        (0x7F, ReportOutcome.FAILED),
        (0x80, ReportOutcome.FAILED),
        (0xFF, ReportOutcome.FAILED),
    ],
)
def test_reads__status(status, outcome):
    assert report_outcome(status) is outcome


@pytest.mark.parametrize(
    "pdu",
    ["", "0", "zz", "00 04", "00", "0791", "0004", "0004" "0D91", "0004" "1991" + "11" * 13, HEAD + "00" + TIME[:-2],
     HEAD + "00" + TIME, "0001000281210000" "00", "0006", "000607" "0D91261802000000F1" + TIME + TIME],
)  # fmt: skip
def test_rejects__pdu(pdu):
    with pytest.raises(PduError):
        decode_received(pdu)


def test_what_was_sent_is_not_what_was_received():
    (submit,) = submit_pdus("6281200000001", False, code_text("x"), concat_reference=0, validity_s=None)
    with pytest.raises(PduError):
        decode_received(submit.hex)


def test_reprs_and_masks_hide_numbers_and_texts():
    (pdu,) = deliver_pdus(SENDER, "secret", sent_at=SENT_AT)
    assert "secret" not in repr(read(pdu))
    assert "81200000001" not in repr(read(pdu))
    assert SENDER.masked == "+6281•••••••01"
    assert Party("BANK", is_name=True).masked == "BANK"
    assert "00000" not in Party("81200000001", is_name=True).masked


# --- properties ----------------------------------------------------------------------------------------------


def read_or_refuse(pdu: str) -> None:
    try:
        received = decode_received(pdu)
    except PduError:
        return
    if isinstance(received, Delivered):
        mended(received.text).encode()
        received.sender.text.encode()
    else:
        assert received.outcome


@given(st.binary(max_size=250))
def test_random_octets_are_read_or_refused(octets):
    read_or_refuse(octets.hex())


@given(st.text(max_size=100))
def test_random_characters_are_read_or_refused(characters):
    read_or_refuse(characters)


@given(st.sampled_from([HEAD, HEAD_WITH_HEADER]), st.integers(0, 255), st.binary(max_size=160))
def test_random_user_data_is_read(head, dcs, user_data):
    """Once sender, coding and time are there, nothing behind them can spoil it."""
    read(f"{head}{dcs:02X}{TIME}{len(user_data):02X}{user_data.hex()}")
    read(f"{head}{dcs:02X}{TIME}FF{user_data.hex()}")


@given(st.binary(min_size=14, max_size=14))
def test_random_times_are_read(octets):
    report = decode_received("000607" "0D91261802000000F1" + octets.hex() + "00")  # fmt: skip
    assert isinstance(report, StatusReport)


@given(st.text(max_size=400), st.data())
def test_a_deliver_with_a_flipped_bit_is_read_or_refused(text, data):
    text = mended(text)
    pdus = deliver_pdus(SENDER, text, sent_at=datetime(2026, 1, 1, tzinfo=UTC))
    octets = bytearray.fromhex(data.draw(st.sampled_from(pdus)))
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    read_or_refuse(octets.hex())

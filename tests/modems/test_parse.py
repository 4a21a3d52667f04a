import pytest

from otppi.modems import parse
from otppi.modems.parse import Final, FinalKind


@pytest.mark.parametrize(
    ("line", "final"),
    [
        ("OK", Final(FinalKind.OK)),
        ("ERROR", Final(FinalKind.ERROR)),
        ("COMMAND NOT SUPPORT", Final(FinalKind.ERROR)),
        ("TOO MANY PARAMETERS", Final(FinalKind.ERROR)),
        ("+CMS ERROR: 38", Final(FinalKind.CMS_ERROR, 38)),
        ("+CMS ERROR:38", Final(FinalKind.CMS_ERROR, 38)),
        ("+cms error: 500", Final(FinalKind.CMS_ERROR, 500)),
        ("+CMS ERROR: network timeout", Final(FinalKind.CMS_ERROR, 332, "network timeout")),
        ("+CMS ERROR: Network out of order", Final(FinalKind.CMS_ERROR, 38, "Network out of order")),
        ("+CMS ERROR: something new", Final(FinalKind.CMS_ERROR, None, "something new")),
        ("+CME ERROR: 10", Final(FinalKind.CME_ERROR, 10)),
        ("+CME ERROR: SIM not inserted", Final(FinalKind.CME_ERROR, None, "SIM not inserted")),
    ],
)
def test_reads__final_result(line, final):
    assert parse.final_result(line) == final


@pytest.mark.parametrize(
    "line", ["", "OKAY", "+CMGS: 5", '+CMTI: "SM",3', "ok then", "353812345678901", "> ", "+CSQ: 3,99"]
)
def test_rejects__final_result(line):
    assert parse.final_result(line) is None


def test_only_a_network_timeout_leaves_the_outcome_unknown():
    unknown = [n for n in range(600) if parse.leaves_outcome_unknown(Final(FinalKind.CMS_ERROR, n))]
    assert unknown == [332]
    assert not parse.leaves_outcome_unknown(Final(FinalKind.CME_ERROR, 332))
    assert not parse.leaves_outcome_unknown(Final(FinalKind.ERROR))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('+CMTI: "SM",3', ""),
        ('+CMTI: "SM",3', "+CSQ:"),
        ("^RSSI:18", "+CSQ:"),
        ("^BOOT:21364925,0,0,0,77", ""),
        ("RING", "+CMGS:"),
        ("Call Ready", ""),
        ("SMS Ready", "+COPS:"),
        ("+CREG: 1", "+CSQ:"),
        ("*PSUTTZ: 26/11/21", ""),
        ("RDY", ""),
    ],
)
def test_unsolicited_lines_are_told_from_answers(line, expected):
    assert parse.is_unsolicited(line, expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [("+CSQ: 12,0", "+CSQ:"), ("353812345678901", ""), ("SIMCOM INCORPORATED", ""), ("+CREG: 0,1", "+CREG:")],
)
def test_answers_are_told_from_unsolicited_lines(line, expected):
    assert not parse.is_unsolicited(line, expected)


@pytest.mark.parametrize(
    ("line", "reference"), [("+CMGS: 0", 0), ("+CMGS:255", 255), ('+CMGS: 12,"…"', 12), ("+CMGS: ", None)]
)
def test_message_reference(line, reference):
    assert parse.message_reference(line) == reference


def test_signal_is_unknown_at_99():
    assert parse.signal("+CSQ: 99,99") is None
    signal = parse.signal("+CSQ: 20,0")
    assert signal is not None
    assert (signal.rssi_dbm, signal.condition) == (-73, "Excellent")


@pytest.mark.parametrize(
    ("csq", "condition"),
    [(0, "Marginal"), (9, "Marginal"), (10, "OK"), (15, "Good"), (20, "Excellent"), (31, "Excellent")],
)
def test_signal_condition_has_the_words_of_the_old_product(csq, condition):
    signal = parse.signal(f"+CSQ: {csq},0")
    assert signal is not None
    assert signal.condition == condition


@pytest.mark.parametrize(
    ("line", "text", "expects_reply"),
    [
        ('+CUSD: 0,"Sisa pulsa Rp 12345",15', "Sisa pulsa Rp 12345", False),
        ('+CUSD: 1,"1. Pulsa\n2. Kuota, dan lain",15', "1. Pulsa\n2. Kuota, dan lain", True),
        ('+CUSD: 0,"00530061006C0064006F",72', "Saldo", False),
        ('+CUSD: 0,"00530061006C0064006F",17', "Saldo", False),
        ('+CUSD: 0,"00530061",15', "00530061", False),
        ('+CUSD: 0,"ABC",72', "ABC", False),
        ("+CUSD: 4", "", False),
        ('+CUSD: 2,"Selesai"', "Selesai", False),
    ],
)
def test_ussd_answer(line, text, expects_reply):
    answer = parse.ussd_answer(line)
    assert answer is not None
    assert (answer.text, answer.expects_reply) == (text, expects_reply)


@pytest.mark.parametrize("line", ["", "+CUSD:", "+CUSD: x", '+CUSD: 0,"open'])
def test_rejects__ussd_answer(line):
    assert parse.ussd_answer(line) is None

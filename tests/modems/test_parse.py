import pytest

from otppi.model.modems import Registration
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
        ("+CME ERROR: SIM not inserted", Final(FinalKind.CME_ERROR, 10, "SIM not inserted")),
        ("+CME ERROR: something new", Final(FinalKind.CME_ERROR, None, "something new")),
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
    ("line", "is_incomplete"),
    [
        ('+CUSD: 1,"1. Pulsa', True),
        ('+CUSD: 1,"Ketik "YA"', True),
        ('+CUSD: 1,"1. Pulsa\n2. Kuota",15', False),
        ('+CUSD: 0,"a disk of 3.5"",15', False),
        ('+CUSD: 2,"Selesai"', False),
        ("+CUSD: 4", False),
        ('+CMTI: "SM', False),
    ],
)
def test_a_text_goes_on_until_its_last_quote(line, is_incomplete):
    assert parse.is_incomplete(line) == is_incomplete


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("OK", ("OK",)),
        ("OK^RSSI:15", ("OK", "^RSSI:15")),
        ('OK+CMTI: "SM",3', ("OK", '+CMTI: "SM",3')),
        ("ERROR+CREG: 2", ("ERROR", "+CREG: 2")),
        ('> +CMTI: "SM",3', (">", '+CMTI: "SM",3')),
        (">RING", (">", "RING")),
        ("> ", ("> ",)),
        ("> 0001000D91", ("> 0001000D91",)),
        ("OKAY", ("OKAY",)),
        ("OK+", ("OK+",)),
        ("+CMGS: 4", ("+CMGS: 4",)),
    ],
)
def test_a_result_and_the_line_that_hangs_on_it_are_parted(line, parts):
    assert parse.unglued(line) == parts


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("+CREG: 0,1", Registration.HOME),
        ("+CREG:0,5", Registration.ROAMING),
        ('+CREG: 2,1,"00C3","0000A5B1",7', Registration.HOME),
        ("+CREG: 2,1,00C3,A5B1", Registration.HOME),
        ("+CEREG: 0,2", Registration.SEARCHING),
        ("+CGREG: 0,3", Registration.DENIED),
        ("+CREG: 0,8", Registration.DENIED),
        ("+CREG: 0,0", Registration.IDLE),
        ("+CREG: 0,6", Registration.HOME),
        ("+CREG: 1", Registration.HOME),  # the unsolicited form
        ('+CREG: 1,"00C3","A5B1"', Registration.HOME),
        ("+CREG: 0,4", Registration.UNKNOWN),
        ("+CREG: 0,77", None),
        ("+CREG:", None),
        ("+CSQ: 3,99", None),
    ],
)
def test_registration(line, state):
    assert parse.registration(line) is state


@pytest.mark.parametrize(
    ("line", "imei"),
    [
        ("004999010000001", "004999010000001"),
        ('+CGSN: "004999010000001"', "004999010000001"),
        ("IMEI: 490154203237518", "490154203237518"),
        ("4901542032375101", "490154203237518"),  # an IMEISV: two digits of the software's version at its end
        ("49015420323751", ""),
        ("", ""),
    ],
)
def test_imei(line, imei):
    assert parse.imei(line) == imei


@pytest.mark.parametrize(
    ("line", "iccid"),
    [
        ("89620000000000001234", "89620000000000001234"),
        ('+CCID: "8962000000000000123"', "8962000000000000123"),
        ("^ICCID: 89620000000000001234", "89620000000000001234"),
        ("+ICCID: 8962000000000000123F", "8962000000000000123"),
        ('+CRSM: 144,0,"98260000000000002143"', "89620000000000001234"),
        ('+CRSM: 144,0,"982600000000000021F3"', "8962000000000000123"),
        ('+CRSM: 106,130,""', ""),
        ("353812345678901", ""),
    ],
)
def test_iccid(line, iccid):
    assert parse.iccid(line) == iccid


@pytest.mark.parametrize(
    ("line", "told"),
    [('+CGMI: "Sim Ltd"', "Sim Ltd"), ("huawei", "huawei"), ("+CGMR: LE20", "LE20"), ("", "")],
)
def test_information(line, told):
    assert parse.information(line) == told


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('+CMTI: "SM",3', parse.StoredAt("SM", 3, False)),
        ('+CMTI:"ME", 0', parse.StoredAt("ME", 0, False)),
        ("+CMTI: MT,12", parse.StoredAt("MT", 12, False)),
        ('+CDSI: "SM",0', parse.StoredAt("SM", 0, True)),
        ("+CMTI:", None),
        ('+CMTI: "SM"', None),
        ('+CUSD: "SM",3', None),
    ],
)
def test_reads__notice(line, place):
    assert parse.stored_at(line) == place


@pytest.mark.parametrize(
    ("line", "pdu"),
    [
        ("+CMT: ,24\n0791AB", "0791AB"),
        ('+CMT: "Shop",24\n0791ab', "0791ab"),
        ("+CDS: 25\n0791", "0791"),
        ("+CMT: ,24", None),
        ("+CMT: ,24\nRING", None),
        ("+CBM: 88\n0791", None),
    ],
)
def test_reads__brought_pdu(line, pdu):
    assert parse.brought_pdu(line) == pdu


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        (["+CMGL: 3,1,,2", "00AABB"], [parse.Listed(3, 1, 2, "00AABB")]),
        (["+CMGL: 0,0,2", "00AABB"], [parse.Listed(0, 0, 2, "00AABB")]),
        (['+CMGL: 3,0,"Toko, 99",2', "00AABB"], [parse.Listed(3, 0, 2, "00AABB")]),
        (
            ["+CMGL:1,1,,2", "00AABB", "+CMGL:2,2,,1", "00CC"],
            [parse.Listed(1, 1, 2, "00AABB"), parse.Listed(2, 2, 1, "00CC")],
        ),
        (["+CMGL: 1,1,,2", "+CMGL: 2,1,,2", "00AABB"], [parse.Listed(2, 1, 2, "00AABB")]),
        (["+CMGL: 1,1,,2"], []),
        (["00AABB", "nonsense"], []),
        ([], []),
    ],
)
def test_reads__list_of_messages(lines, messages):
    assert parse.listed(lines) == messages


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["+CMGR: 0,,2", "00AABB"], parse.Listed(7, 0, 2, "00AABB")),
        (["+CMGR: 1,2", "00AABB"], parse.Listed(7, 1, 2, "00AABB")),
        (['+CMGR: 1,"Toko",2', "00AABB"], parse.Listed(7, 1, 2, "00AABB")),
        (["+CMGR: 0,,0"], None),
    ],
)
def test_reads__one_message(lines, message):
    assert parse.listed(lines, 7) == ([message] if message else [])


@pytest.mark.parametrize(
    ("octets", "pdu", "is_whole"),
    [(2, "00AABB", True), (2, "0191AABB", True), (2, "00AAB", False), (3, "00AABB", False), (2, "0", False)],
)
def test_a_pdu_that_lost_bytes_is_found_out_by_its_length(octets, pdu, is_whole):
    assert parse.Listed(1, 0, octets, pdu).is_whole is is_whole


@pytest.mark.parametrize(
    ("line", "fill"),
    [
        ('+CPMS: "SM",3,20,"SM",3,20,"SM",3,20', parse.StoreFill("SM", 3, 20)),
        ('+CPMS:"ME", 0, 255', parse.StoreFill("ME", 0, 255)),
        ("+CPMS: SM,1,10", parse.StoreFill("SM", 1, 10)),
        ("+CPMS: 3,20,3,20,3,20", None),
    ],
)
def test_reads__fill(line, fill):
    assert parse.store_fill(line) == fill


@pytest.mark.parametrize(("line", "service"), [("+CSMS: 1,1,1,1", 1), ("+CSMS: 0,1,1", 0), ("+CSMS:", None)])
def test_reads__message_service(line, service):
    assert parse.message_service(line) == service

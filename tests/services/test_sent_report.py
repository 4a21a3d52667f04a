import csv
import io
import os
import resource
import signal
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest

from otppi.gateway.sent import SentMessages, SentSettings
from otppi.gateway.traffic import Traffic
from otppi.model.errors import BadRequest, Busy, HostError
from otppi.model.events import DeliveryReported, MessageFinished, Outcome
from otppi.model.number import Number
from otppi.model.received_pdu import ReportOutcome
from otppi.services.sent_report import SentReport

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(autouse=True)
def in_jakarta():
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Jakarta"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture
def sent(tmp_path, clock):
    one = SentMessages(tmp_path / "reports", SentSettings, clock)
    yield one
    one.stop()


@pytest.fixture
def report(sent, clock, tmp_path):
    return SentReport(sent, Traffic(clock), clock, tmp_path / "reports")


@pytest.fixture
def left(tmp_path):
    """Look what is there beside the rows."""
    return lambda: [one.name for one in (tmp_path / "reports").iterdir() if one.suffix != ".jsonl"]


def finished(message_id="a", **others):
    values = {
        "modem_id": "m0",
        "modem_name": "telkomsel",
        "door": "rest",
        "user": "shop",
        "masked_number": Number("6281200000034").masked,
        "parts": 2,
        "outcome": Outcome.SENT,
        "duration_s": 2.5,
    }
    return MessageFinished(message_id=message_id, **(values | others))


def read_csv(export):
    return list(csv.reader(io.StringIO(b"".join(export.chunks).decode("utf-8-sig"), newline="")))


def read_xlsx(export):
    """Return the rows of the first sheet; numbers as numbers."""
    rows = []
    with zipfile.ZipFile(io.BytesIO(b"".join(export.chunks))) as book:
        assert book.testzip() is None
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - it is our own
        assert "xl/sharedStrings.xml" not in book.namelist()  # strings are in place: that is constant memory
    assert not list(sheet.iter(f"{SHEET}f"))  # no formula
    for row in sheet.iter(f"{SHEET}row"):
        cells = []
        for cell in row.iter(f"{SHEET}c"):
            text = "".join(one.text or "" for one in cell.iter(f"{SHEET}t"))
            cells.append(text if cell.get("t") == "inlineStr" else float(cell.findtext(f"{SHEET}v")))
        rows.append(cells)
    return rows


def test_the_list_has_json_values_in_the_zone_of_the_device(sent, report, clock):
    sent.take(finished())
    clock.advance(3)
    sent.take(
        DeliveryReported(message_id="a", modem_id="m0", masked_number="", outcome=ReportOutcome.DELIVERED)
    )
    assert report.list() == {
        "rows": [
            {
                "at": "2027-01-15T15:00:00+07:00",
                "is_timed": True,
                "message_id": "a",
                "door": "rest",
                "user": "shop",
                "channel": "sms",
                "modem_id": "m0",
                "modem": "telkomsel",
                "number": "62812••••••34",
                "parts": 2,
                "outcome": "sent",
                "is_late": False,
                "reason": "",
                "duration_s": 2.5,
                "delivery": "delivered",
                "delivered_at": "2027-01-15T15:00:03+07:00",
            }
        ],
        "total": 1,
        "is_kept": True,
    }


def test_days_are_those_of_the_device_with_both_ends(sent, report, clock):
    clock.wall -= 15 * 3600  # 2027-01-15 00:00 there
    for message_id, pause_s in (
        ("last of 14", 1),
        ("first of 15", 86_398),
        ("last of 15", 1),
        ("first of 16", 0),
    ):
        clock.wall -= message_id == "last of 14"
        sent.take(finished(message_id))
        clock.wall += pause_s + (message_id == "last of 15") + (message_id == "first of 15")
    ids = [row["message_id"] for row in report.list(since="2027-01-15", until="2027-01-15")["rows"]]
    assert ids == ["last of 15", "first of 15"]
    assert report.summary(until="2027-01-14")["messages"] == 1
    assert report.summary(since="2027-01-16")["messages"] == 1


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("since", {"since": "yesterday"}),
        ("until", {"until": "2027-02-30"}),
        ("until", {"until": "9999-12-31"}),
        ("outcome", {"outcome": "lost"}),
        ("delivery", {"delivery": "perhaps"}),
        ("channel", {"channel": "fax"}),
        ("number", {"number": "abc"}),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_all_before_anything_is_read(report, field, asked):
    for ask in (report.list, report.summary, report.csv, report.xlsx):
        with pytest.raises(BadRequest) as refused:
            ask(**asked)
        assert refused.value.field == field


@pytest.mark.parametrize(("field", "value"), [("offset", -1), ("count", 0), ("count", 1001)])
def test_a_page_has_limits(report, field, value):
    with pytest.raises(BadRequest) as refused:
        report.list(**{field: value})
    assert refused.value.field == field


def test_rows_of_before_a_day_can_be_deleted(sent, report, clock):
    sent.take(finished("a"))
    clock.advance(86_400)
    sent.take(finished("b"))
    assert report.delete_before("2027-01-16") == 1
    assert [row["message_id"] for row in report.list()["rows"]] == ["b"]
    with pytest.raises(BadRequest):
        report.delete_before("")


def test_the_functions_have_keyword_arguments_and_say_what_they_do(report):
    functions = report.functions()
    assert sorted(functions) == ["report.delete_before", "report.list", "report.summary", "traffic.recent"]
    assert all(function.__doc__ for function in functions.values())
    assert len(functions["traffic.recent"]()["minutes"]) == 60


def test_a_csv_is_what_spreadsheets_and_programs_read(sent, report, clock):
    sent.take(finished("a", user='He said "no", twice\nand went', reason="ü", outcome=Outcome.FAILED))
    sent.take(finished("b"))
    export = report.csv()
    assert (export.name, export.content_type) == (
        "sent-messages-2027-01-15-1500.csv",
        "text/csv; charset=utf-8",
    )
    whole = b"".join(export.chunks)
    assert whole.startswith(b"\xef\xbb\xbfTime,")
    assert whole.endswith(b"\r\n")
    rows = read_csv(report.csv())
    assert rows[0][0] == "Time"
    assert {len(row) for row in rows} == {14}
    assert rows[1][:7] == ["2027-01-15T15:00:00+07:00", "yes", "62812••••••34", "2", "sent", "", "2.5"]
    assert rows[2][4:6] == ["failed", "ü"]
    assert rows[2][11:] == ['He said "no", twice\nand went', "a", "sms"]


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")'])
def test_no_cell_is_a_formula(sent, report, evil):
    sent.take(finished("a", user=evil, modem_name=evil))
    assert read_csv(report.csv())[1][9:12] == [f"'{evil}", "rest", f"'{evil}"]
    assert read_xlsx(report.xlsx())[1][-5] != 0.0


def test_a_csv_is_filtered_and_streamed(sent, report, clock):
    for number in range(1000):
        sent.take(finished(f"{number}", user="shop" if number % 2 else "bank"))
    assert len(read_csv(report.csv(user="bank"))) == 501
    chunks = report.csv().chunks
    assert sum(1 for _ in chunks) > 4
    half_read = report.csv().chunks
    next(half_read)
    half_read.close()


def test_a_spreadsheet_opens_with_times_as_times(sent, report, clock, left):
    sent.take(finished("a", user="=1+1", reason="a < b & c", outcome=Outcome.FAILED))
    clock.advance(60)
    sent.take(DeliveryReported(message_id="a", modem_id="m0", masked_number="", outcome=ReportOutcome.FAILED))
    export = report.xlsx()
    assert export.name == "sent-messages-2027-01-15-1501.xlsx"
    titles, row = read_xlsx(export)
    assert titles[0] == "Time (WIB)"
    at = 46402 + 15 / 24  # 2027-01-15 15:00, in days since 1899-12-30
    assert row == [
        pytest.approx(at, abs=1e-6),
        "yes",
        "62812••••••34",
        2.0,
        "failed",
        "a < b & c",
        2.5,
        "failed",
        pytest.approx(at + 1 / 1440, abs=1e-6),
        "telkomsel",
        "rest",
        "=1+1",
        "a",
        "sms",
    ]
    assert left() == []


def test_a_spreadsheet_has_no_more_rows_than_its_format(sent, report, monkeypatch):
    monkeypatch.setattr("otppi.services.sent_report._MOST_ROWS_OF_A_SHEET", 20)
    for number in range(30):
        sent.take(finished(f"{number}"))
    rows = read_xlsx(report.xlsx())
    assert [row[-2] for row in rows[1:]] == [f"{number}" for number in range(29, 9, -1)]


def test_a_spreadsheet_that_nobody_reads_to_its_end_leaves_nothing(sent, report, left):
    sent.take(finished())
    report.xlsx().chunks.close()
    export = report.xlsx()
    next(export.chunks)
    export.chunks.close()
    assert list(export.chunks) == []
    assert left() == []


def test_without_room_there_is_no_spreadsheet_and_nothing_is_left(sent, report, left):
    for number in range(2000):
        sent.take(finished(f"{number}"))
    sent.flush()
    old, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))  # stands for a disk that is full
    try:
        with pytest.raises(HostError, match="no room"):
            report.xlsx()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert left() == []
    assert len(read_xlsx(report.xlsx())) == 2001


def test_a_spreadsheet_leaves_room_for_everything_else(sent, report, left, monkeypatch):
    monkeypatch.setattr("otppi.services.sent_report._ROWS_BETWEEN_LOOKS", 10)
    monkeypatch.setattr("otppi.services.sent_report._ROOM_LEFT_BYTES", 1 << 60)
    for number in range(11):
        sent.take(finished(f"{number}"))
    with pytest.raises(HostError, match="no room"):
        report.xlsx()
    assert left() == []


def test_what_a_power_cut_left_of_a_spreadsheet_is_removed_with_the_next(sent, report, left, tmp_path):
    sent.take(finished())
    (tmp_path / "reports" / "sheet-abc").mkdir(parents=True)
    (tmp_path / "reports" / "sheet-abc" / "rows").write_text("half of it")
    assert len(read_xlsx(report.xlsx())) == 2
    assert left() == []
    assert len(report.list()["rows"]) == 1


def test_two_spreadsheets_are_not_made_at_once(sent, report):
    for number in range(5000):
        sent.take(finished(f"{number}"))

    def ask(_):
        try:
            return len(read_xlsx(report.xlsx()))
        except Busy:
            return "busy"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(map(str, pool.map(ask, range(2)))) == ["5001", "busy"]
    assert ask(None) == 5001


def test_a_running_gateway_reports_what_it_sent(gateway):
    one = gateway()
    one.call("send-sms", receiver="081200000034", message="nobody reads this")
    report = one.gateway.sent_report
    one.wait_until(lambda: report.list()["total"])
    (row,) = report.list()["rows"]
    assert (row["number"], row["outcome"], row["door"], row["user"]) == (
        "62812••••••34",
        "sent",
        "rest",
        "shop",
    )
    (recent,) = report.recent()["messages"]
    assert recent["message_id"] == row["message_id"]
    one.gateway.stop()
    (file,) = (one.state_dir / "reports").iterdir()
    content = file.read_text()
    assert row["message_id"] in content
    assert "nobody reads this" not in content
    assert "81200000034" not in content
    one.gateway = None

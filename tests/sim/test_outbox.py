import stat
import time

from otppi.model.pdu import Concat, decode_submit
from otppi.sim.outbox import Outbox
from otppi.sim.record import Assembler, SentMessage, SentSms

SUBMITTED = decode_submit("0001000D91261802000000F100080C003100320033003400350036")


def part(reference, total, number, text):
    return decode_submit(
        "0041000D91261802000000F10008"
        + f"{6 + 2 * len(text):02X}050003{reference:02X}{total:02X}{number:02X}"
        + text.encode("utf-16-be").hex()
    )


def sms(submitted):
    return SentSms(modem="m0", at_s=time.monotonic(), reference=0, submitted=submitted)


def test_a_short_message_is_complete_at_once():
    message = Assembler().add(sms(SUBMITTED))
    assert (message.number, message.text, message.parts) == ("6281200000001", "123456", 1)


def test_parts_are_joined_in_their_order_whatever_order_they_come_in():
    assembler = Assembler()
    assert assembler.add(sms(part(9, 3, 2, "b"))) is None
    assert assembler.add(sms(part(8, 2, 1, "x"))) is None
    assert assembler.add(sms(part(9, 3, 3, "c"))) is None
    message = assembler.add(sms(part(9, 3, 1, "a")))
    assert (message.text, message.parts) == ("abc", 3)
    assert assembler.add(sms(part(8, 2, 2, "y"))).text == "xy"


def test_a_repeated_part_completes_nothing():
    assembler = Assembler()
    assert sms(part(9, 2, 1, "a")).concat == Concat(9, 2, 1)
    assert assembler.add(sms(part(9, 2, 1, "a"))) is None
    assert assembler.add(sms(part(9, 2, 1, "a"))) is None


def test_every_message_is_a_file_on_its_receivers_phone(tmp_path):
    delivered = []
    outbox = Outbox(tmp_path / "phones", lambda message, path: delivered.append((message.text, path)))
    for text in ("Kode 1", "Kode 2 ✓"):
        outbox.deliver(
            SentMessage(
                modem="m0", at_s=0.0, number="6281200000001", text=text, parts=2 if "2" in text else 1
            )
        )
    (first, one), (second, two) = delivered
    assert (first, second) == ("Kode 1", "Kode 2 ✓")
    assert one.parent == two.parent == tmp_path / "phones" / "6281200000001"
    assert one.name.endswith("-1.txt")
    assert two.name.endswith("-2.txt")
    assert two.read_text("utf-8").startswith("To: 6281200000001\nFrom: m0 in 2 parts\nAt: ")
    assert two.read_text("utf-8").endswith("\n\nKode 2 ✓\n")
    assert stat.S_IMODE(one.stat().st_mode) == 0o600


def test_a_receiver_cannot_leave_the_folder(tmp_path):
    paths = []
    outbox = Outbox(tmp_path / "phones", lambda _, path: paths.append(path))
    for number in ("../../etc", ""):
        outbox.deliver(SentMessage(modem="m0", at_s=0.0, number=number, text="x"))
    assert {path.parent.parent for path in paths} == {tmp_path / "phones"}

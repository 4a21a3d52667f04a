"""A message by hand: sent once, its length counted alike by page and script, its outcome told in words."""

import base64
import json
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otppi.web import sms_length
from tests import needs
from tests.gateway_under_test import Sim
from tests.web.admin_client import admin_client

SCRIPT = Path("otppi/web/static/sms_text.js")
EVIL = "<script>alert(1)</script>"


def texts_to_count():
    """Texts at every edge: of parts, of escapes and pairs that no cut may go through, of line ends."""
    chance = random.Random(7)
    letters = "aZ é€[]^{}\\~|@\n\f\x1b\r`“”\u2013…\u00a0\u200b\u202eÇçΔ世🙏👨‍👩‍👧"
    fixed = ["", "a", "\r\n", "\r", "\r\r\n\n", "\x1b", "€" * 80, "€" * 81, "[" * 76 + "a[" * 3 + "]" * 80]
    edges = [
        one * size for one in "a€“🙏" for size in (66, 67, 69, 70, 71, 134, 152, 153, 160, 161, 306, 307)
    ]
    torn = [f"{'a' * size}{one}{'b' * 200}" for one in "€🙏" for size in range(64, 70)]
    torn += [f"{'a' * size}€{'b' * 200}" for size in range(150, 156)]
    wild = ["".join(chance.choices(letters, k=chance.randrange(400))) for _ in range(300)]
    return [*fixed, *edges, *torn, *wild]


def in_script(expression, texts):
    """Return what the browser's own counting gives for each text."""
    needs.programs("node")
    module = base64.b64encode(SCRIPT.read_bytes()).decode()
    program = (
        f'const {{ measure, plain, named }} = await import("data:text/javascript;base64,{module}");\n'
        'const { table, texts } = JSON.parse((await import("node:fs")).readFileSync(0, "utf8"));\n'
        f"console.log(JSON.stringify(texts.map((text) => {expression})));"
    )
    given = json.dumps({"table": json.loads(sms_length.table()), "texts": texts})
    done = subprocess.run(
        [needs.program("node"), "--input-type=module", "-e", program],
        input=given, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_script_and_device_count_the_same():
    texts = texts_to_count()
    for text, by_script in zip(texts, in_script("measure(text, table)", texts), strict=True):
        length = sms_length.measure(text)
        assert by_script == {
            "coding": length.coding,
            "parts": length.parts,
            "used": length.used,
            "room": length.room,
            "foreign": list(length.foreign),
            "partsWithout": length.parts_without,
        }, repr(text)


def test_script_and_device_name_characters_alike():
    characters = ["“", "世", "🙏", "\u00a0", "\u200b", "\u202e", "\u0301", "\x1b", "\x00"]
    assert in_script("named(text)", characters) == [sms_length.named(one) for one in characters]


def test_typographic_characters_are_replaced_by_plain_ones():
    texts = ["“Halo” \u2013 it\u2019s…", "a\u00a0b\u200bc\u2009d", "ÁÉé ñ ç č ő", "世🙏", "[€]^ Ü@\n"]
    replaced = in_script("plain(text, table)", texts)
    assert replaced == ['"Halo" - it\'s...', "a bc d", "AÉé ñ c c o", "世🙏", "[€]^ Ü@\n"]
    assert not sms_length.measure(replaced[0]).foreign


def fields(page, **others):
    return {
        "number": "0812 0000 0001",
        "text": "Pesanan siap",
        "modem": "",
        "reference": page.value_of("reference"),
    } | others


def test_a_message_is_sent_and_the_page_says_so(pages, operator):
    answer = operator.post("/send", fields(operator.get("/send")))
    assert "Sent in 1 part through m0." in operator.follow(answer).visible
    assert pages.texts() == ["Pesanan siap"]


def test_a_button_pressed_twice_sends_once_and_says_so_once(gateway):
    one = gateway(modems=(Sim(submit_s=0.3),))
    owner = admin_client(one)
    form = fields(owner.get("/send"))
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: owner.post("/send", form), range(3)))
    assert [answer.status for answer in answers] == [303] * 3
    assert one.texts() == ["Pesanan siap"]
    assert owner.get("/send").visible.count("Sent in 1 part") == 1
    owner.post("/send", fields(owner.get("/send")))
    assert one.texts() == ["Pesanan siap"] * 2


def test_after_an_unknown_outcome_nothing_is_repeated_without_a_warning(gateway):
    one = gateway(modems=(Sim(),), sms={"answer_limit_s": 5})
    owner = admin_client(one)
    form = fields(owner.get("/send"), number="6280000000002")
    page = owner.post("/send", form)
    assert page.status == 422
    assert "Nobody knows whether the message was sent." in page.visible
    assert "Answer 1408" in page.visible
    assert page.value_of("number") == "6280000000002"
    assert 'type="checkbox" name="again"' in page.text
    form["next_reference"] = page.value_of("next_reference")
    assert "Answer 1408" in owner.post("/send", form).visible
    one.wait_until(lambda: one.state("m0") == "ready", timeout_s=60)
    assert "Answer 1408" in owner.post("/send", form | {"again": "on"}).visible
    # The one in the middle was no try.
    one.wait_until(lambda: one.gateway.sent_report.list()["total"] >= 2)
    assert one.gateway.sent_report.list()["total"] == 2


@pytest.mark.parametrize(
    ("wrong", "said", "beside"),
    [
        ({"number": "abc"}, "has characters that are not part of a phone number", "number-error"),
        ({"text": ""}, "is empty", "text-error"),
        ({"text": "x" * 1300}, "needs 9 parts, more than the 8 allowed", "text-error"),
        ({"modem": "gone"}, "there is no such modem", "modem-error"),
        ({"number": "6280000000001"}, "The message was refused. It was not sent. Check the number", ""),
    ],
)
def test_what_is_not_sent_says_why_and_keeps_what_was_typed(pages, owner, wrong, said, beside):
    page = owner.post("/send", fields(owner.get("/send"), **wrong))
    assert page.status == 422
    assert said in page.visible
    if beside:
        assert f'id="{beside}"' in page.text
    assert page.value_of("number") == wrong.get("number", "0812 0000 0001")
    assert pages.texts() == []


def test_a_blocked_number_leads_to_the_block_list(pages, owner):
    owner.post("/blocklist", {"number": "081200000001"})
    page = owner.post("/send", fields(owner.get("/send")))
    assert "The receiver is on the block list. Nothing was sent." in page.visible
    assert pages.texts() == []


def test_a_quota_says_how_long_to_wait(gateway):
    owner = admin_client(gateway(modems=(Sim(settings={"quota_per_minute": 1}),)))
    owner.post("/send", fields(owner.get("/send")))
    page = owner.post("/send", fields(owner.get("/send")))
    assert "The SIM card has used up its quota. The message was not sent. Try again in" in page.visible


def test_no_ready_modem_says_so(gateway):
    one = gateway(modems=(Sim(active=False),))
    owner = admin_client(one)
    page = owner.post("/send", fields(owner.get("/send")))
    assert "No modem could take the message. It was not sent." in page.visible
    assert "Answer 1101" in page.visible


def test_what_was_typed_stays_text(owner):
    evil = f'{EVIL}"><b>\u202e'
    page = owner.post("/send", fields(owner.get("/send"), number=evil, text=f"\n{evil}", modem=evil))
    assert EVIL not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


def test_without_a_script_length_price_and_modems_are_asked_for(gateway):
    cheap = Sim(name="cheap", settings={"prices": ["other=100"]})
    dear = Sim(name="dear", settings={"prices": ["other=350"]})
    one = gateway(modems=(dear, cheap, Sim(name="off", active=False)))
    owner = admin_client(one)
    page = owner.post("/send/check", fields(owner.get("/send"), text="“" + "x" * 80))
    assert "Length: 81 of 134 (UCS-2). Parts: 2." in page.visible
    assert "Parts with these characters: 2. Parts without them: 1." in page.visible
    assert "cheap IDR200 (price of other, no prefix)" in page.visible.replace("\u00a0", "")
    assert page.visible.index("cheap ") < page.visible.rindex("dear ")
    assert one.texts() == []


def check(client, **given):
    return json.loads(client.post("/send/check", given, Accept="application/json").text)


def test_a_script_asks_who_would_send_it(gateway):
    cheap = Sim(name="cheap", settings={"prices": ["other=100"]})
    owner = admin_client(gateway(modems=(Sim(name="dear", settings={"prices": ["other=350"]}), cheap)))
    lines = check(owner, number="081200000001", text="x")["lines"]
    assert [line["modem"] for line in lines] == ["cheap", "dear"]
    assert "100" in lines[0]["text"]
    assert [
        line["modem"] for line in check(owner, number="081200000001", text="x", modem="dear")["lines"]
    ] == ["dear"]
    assert "characters that are not part" in check(owner, number="x", text="x")["refused"]
    assert (
        "9 parts are more than the 8 allowed"
        in check(owner, number="081200000001", text="x" * 1300)["refused"]
    )
    owner.post("/blocklist", {"number": "081200000001"})
    assert "on the block list" in check(owner, number="081200000001", text="x")["refused"]


def test_a_viewer_may_not_send(pages, viewer):
    assert viewer.get("/send").status == 403
    assert viewer.post("/send", {"number": "081200000001", "text": "x"}).status == 403
    assert viewer.post("/send/check", {"number": "081200000001", "text": "x"}).status == 403
    assert pages.texts() == []


def test_the_audit_trail_has_neither_text_nor_number(pages, owner):
    owner.post("/send", fields(owner.get("/send"), text="secret words"))
    (row,) = [one for one in owner_audit(pages) if one["what"] == "send"]
    assert "secret words" not in json.dumps(row)
    assert "0000 0001" not in json.dumps(row)


def owner_audit(pages):
    path = pages.state_dir / "audit" / "audit.jsonl"
    pages.wait_until(lambda: path.exists() and '"send"' in path.read_text())
    return [json.loads(line) for line in path.read_text().splitlines()]

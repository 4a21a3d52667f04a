"""Numbers that nothing is sent to: added as people write them, one by one or all at once."""

import pytest

from otppi.gateway.blocklist import BlockedNumber

EVIL = "<script>alert(1)</script>"


def listed(one):
    return {digits: entry.blocked for digits, entry in one.gateway.store.items(BlockedNumber).items()}


@pytest.mark.parametrize(
    "written", ["0812 0000 0001", "+62 812-0000-0001", "0062.812.0000.0001", "62081200000001"]
)
def test_a_number_is_blocked_however_it_is_written(pages, operator, written):
    answer = operator.post("/blocklist", {"number": written})
    assert "+6281200000001 blocked" in operator.follow(answer).visible
    assert listed(pages) == {"6281200000001": True}
    assert pages.call("send-sms", receiver="081200000001", message="x").code == "1301"


def test_a_short_code_is_blocked_too(pages, operator):
    operator.post("/blocklist", {"number": "12345"})
    assert "12345 blocked" in operator.get("/blocklist").visible
    assert "+12345" not in operator.get("/blocklist").visible
    operator.post("/blocklist/remove", {"number": "12345"})
    assert listed(pages) == {}


def test_a_number_is_unblocked_blocked_again_and_removed(pages, operator):
    operator.post("/blocklist", {"number": "081200000001"})
    operator.post("/blocklist/block", {"number": "6281200000001", "blocked": "no"})
    assert "+6281200000001 not blocked" in operator.get("/blocklist").visible
    assert pages.call("send-sms", receiver="081200000001", message="x").code == "0000"
    operator.post("/blocklist/block", {"number": "6281200000001", "blocked": "yes"})
    assert listed(pages) == {"6281200000001": True}
    assert "data-confirm=" in operator.get("/blocklist").text
    answer = operator.post("/blocklist/remove", {"number": "6281200000001"})
    assert listed(pages) == {}
    assert (
        "no longer on the block list" in operator.follow(answer).visible
        or "no longer" in operator.get("/blocklist").visible
    )


def test_a_foreign_number_is_the_same_in_every_action(pages, operator):
    operator.post("/blocklist", {"number": "+1 202 555 0100"})
    assert listed(pages) == {"12025550100": True}
    operator.post("/blocklist/block", {"number": "12025550100", "blocked": "no"})
    assert listed(pages) == {"12025550100": False}
    operator.post("/blocklist/remove", {"number": "12025550100"})
    assert listed(pages) == {}


@pytest.mark.parametrize("wrong", ["", "abc", EVIL, "0" * 30])
def test_what_is_no_number_is_refused_beside_the_field(pages, operator, wrong):
    page = operator.post("/blocklist", {"number": wrong})
    assert page.status == 400
    assert 'id="number-error"' in page.text
    assert page.value_of("number") == wrong
    assert EVIL not in page.text
    assert listed(pages) == {}


def test_many_numbers_are_blocked_at_once(pages, operator):
    operator.post("/blocklist", {"number": "081200000001"})
    many = "0812 0000 0001\r\n\r\n +62 812 0000 0002 \n081200000002\n12345\n"
    answer = operator.post("/blocklist/many", {"numbers": many})
    assert "3 numbers are blocked, 2 of them new." in operator.follow(answer).visible
    assert list(listed(pages)) == ["6281200000001", "6281200000002", "12345"]
    assert "3 numbers on the list · 3 of them blocked" in operator.get("/blocklist").visible


def test_one_wrong_line_blocks_nothing_and_is_named(pages, operator):
    many = f"081200000001\n\nabc\n081200000002\n{EVIL}\n7"
    page = operator.post("/blocklist/many", {"numbers": many})
    assert page.status == 422
    assert "Nothing was blocked:" in page.visible
    assert "Line 3, abc: has characters that are not part of a phone number" in page.visible
    assert "Line 6, 7: is not a possible phone number" in page.visible
    assert EVIL not in page.text
    assert "081200000001" in page.text.partition('id="numbers"')[2]
    assert listed(pages) == {}


@pytest.mark.parametrize(
    ("many", "status", "said"),
    [
        ("\n \n", 400, "Write one number on each line."),
        ("\n".join(str(81200000000 + number) for number in range(2001)), 400, "are more than 2000"),
    ],
)
def test_none_or_too_many_at_once_are_refused(pages, operator, many, status, said):
    page = operator.post("/blocklist/many", {"numbers": many})
    assert page.status == status
    assert said in page.visible
    assert listed(pages) == {}


def test_as_many_as_it_says_go_in_at_once_and_are_paged_and_searched(pages, operator):
    many = "\n".join(f"0{81200000000 + number}" for number in range(2000))
    operator.post("/blocklist/many", {"numbers": many})
    assert len(listed(pages)) == 2000
    page = operator.get("/blocklist").visible
    assert "1 to 50 of 2,000" in page
    assert "+6281200001999 blocked" in page
    assert "+6281200000000 blocked" in operator.get("/blocklist?offset=1950").visible
    found = operator.get("/blocklist?search=0812+0000+1234").visible
    assert "+6281200001234 blocked" in found
    assert "+6281200001235" not in found
    assert "No number on the list has these digits." in operator.get("/blocklist?search=%3Cb%3E").visible
    assert operator.get("/blocklist?search=1&offset=90000").location == "/blocklist?search=1"


def test_a_viewer_neither_sees_nor_changes_it(pages, owner, viewer):
    owner.post("/blocklist", {"number": "081200000001"})
    page = viewer.get("/blocklist")
    assert page.status == 403
    assert "81200000001" not in page.text
    for path in ("/blocklist", "/blocklist/many", "/blocklist/block", "/blocklist/remove"):
        given = {"number": "6281200000001", "numbers": "081200000002", "blocked": "no"}
        assert viewer.post(path, given).status == 403
    assert listed(pages) == {"6281200000001": True}


def test_no_number_is_in_the_audit_trail(pages, operator):
    operator.post("/blocklist", {"number": "081200000001"})
    operator.post("/blocklist/many", {"numbers": "0812-0000-0002"})
    path = pages.state_dir / "audit" / "audit.jsonl"
    pages.wait_until(lambda: path.exists() and "number.block_all" in path.read_text())
    text = path.read_text()
    assert "81200000001" not in text
    assert "0000-0002" not in text

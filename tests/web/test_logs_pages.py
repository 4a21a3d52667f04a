import logging

import pytest

log = logging.getLogger("otppi.tests.logs_pages")


@pytest.fixture
def lines():
    """Have lines of INFO kept as well, as a service has; the gateway comes after this."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(level)


def test_the_last_lines_are_shown_by_level_and_text(lines, owner):
    log.info("a quiet remark")
    log.error("a loud remark")
    everything = owner.get("/logs?search=remark")
    assert "a quiet remark" in everything.visible
    assert "a loud remark" in everything.visible
    errors = owner.get("/logs?level=error&search=remark")
    assert "a quiet remark" not in errors.visible
    assert "a loud remark" in errors.visible
    assert "No line is like that." in owner.get("/logs?search=nobody-said-this").visible


def test_older_lines_are_on_pages_that_keep_the_filter(lines, owner):
    for number in range(101):
        log.warning("counted %d times & more", number)
    first = owner.get("/logs?level=warning&search=times+%26+more")
    assert "counted 100 times" in first.visible
    assert "counted 0 times" not in first.visible
    assert 'href="/logs?level=warning&amp;search=times+%26+more&amp;offset=100"' in first.text
    last = owner.get("/logs?level=warning&search=times%20%26%20more&offset=100")
    assert "counted 0 times" in last.visible


def test_a_line_and_a_search_stay_text(lines, owner):
    log.warning("<img src=x onerror=alert(1)>")
    page = owner.get("/logs?search=%3Cimg")
    assert "<img src=x" not in page.text
    assert "<img src=x onerror=alert(1)>" in page.visible
    assert page.value_of("search") == "<img"


def test_all_lines_come_as_a_file(lines, owner):
    log.warning("to be kept")
    file = owner.get("/logs/download")
    assert file.headers["Content-Disposition"] == 'attachment; filename="otppi-log.txt"'
    assert file.headers["Content-Type"].startswith("text/plain")
    assert "'to be kept'" in file.text


def test_a_desk_has_no_journal(owner):
    assert owner.get("/logs/journal").status == 404
    assert "/logs/journal" not in owner.get("/logs").text


def test_logs_are_for_owners(operator, viewer):
    for one in (operator, viewer):
        assert {one.get(path).status for path in ("/logs", "/logs/journal", "/logs/download")} == {403}

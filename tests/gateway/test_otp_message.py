import pytest

from otppi.gateway.otp_message import check_app_hash, check_template, check_web_host, fill
from otppi.model.errors import BadRequest

HASH = "FA+9qCX9VSu"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("%s", "0123456789"),
        ("Your OTP is %s", "Your OTP is 0123456789"),
        ("Your OTP is %1$s.", "Your OTP is 0123456789."),
        ("100%% safe: %s", "100% safe: 0123456789"),
        ("50% off with %s", "50% off with 0123456789"),
        ("%s is 100%", "0123456789 is 100%"),
        ("%%s %s", "%s 0123456789"),
        ("%%%s", "%0123456789"),
        ("%d %2$s \\1 {code} %s", "%d %2$s \\1 {code} 0123456789"),
        ("%s\n", "0123456789\n"),
    ],
)
def test_accepts_and_fills__template(template, text):
    check_template(template)
    assert fill(template, "0123456789") == text


@pytest.mark.parametrize(
    "template", ["", "no place", "%s %s", "%s %1$s", "%%s", "100%% %d", "%S", "% s", "100%sure: %s"]
)
def test_rejects__template(template):
    with pytest.raises(BadRequest) as refusal:
        check_template(template)
    assert refusal.value.field == "data.message"
    assert not template or template not in str(refusal.value)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "a.b",
        "login.bank.co.id",
        "Example.COM",
        "localhost",
        "xn--bcher-kva.example",
        "1.example",
        f"{'a' * 63}.id",
    ],
)
def test_accepts__web_host(host):
    check_web_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example",
        "https://example.com",
        "example.com/",
        "example.com:443",
        "example.com.",
        ".example.com",
        "a..b",
        "-a.com",
        "a-.com",
        "a_b.com",
        "exa mple.com",
        "example.com\n",
        "example.com #123456",
        "192.0.2.1",
        "[2001:db8::1]",
        "bücher.example",
        "\u0661.example",
        "\u212aelvin.example",
        f"{'a' * 64}.id",
        ".".join(["a" * 49] * 5) + ".example",
        "user@example.com",
    ],
)
def test_rejects__web_host(host):
    with pytest.raises(BadRequest) as refusal:
        check_web_host(host)
    assert refusal.value.field == "data.web_host"


@pytest.mark.parametrize("app_hash", [HASH, "a" * 11, "+/+/+/+/+/+"])
def test_accepts__app_hash(app_hash):
    check_app_hash(app_hash)


@pytest.mark.parametrize(
    "app_hash", ["", "short", HASH + "x", HASH[:-1] + " ", HASH + "\n", HASH[:-1] + "é", HASH[:-1] + "="]
)
def test_rejects__app_hash(app_hash):
    with pytest.raises(BadRequest) as refusal:
        check_app_hash(app_hash)
    assert refusal.value.field == "data.app_hash"


def test_the_line_for_browsers_is_the_last():
    assert fill("Code: %s", "0123", web_host="Example.com") == "Code: 0123\n@example.com #0123"


def test_the_hash_for_android_is_the_end():
    assert fill("Code: %s", "0123", app_hash=HASH) == f"Code: 0123\n{HASH}"


def test_both_fit_in_one_last_line():
    text = fill("Code: %s", "0123", web_host="example.com", app_hash=HASH)
    assert text == f"Code: 0123\n@example.com #0123 {HASH}"

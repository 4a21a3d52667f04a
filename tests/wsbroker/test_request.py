import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.model.errors import BadRequest, RequestError, Unauthorized
from otppi.wsbroker.request import Credentials, caller, credentials_of, is_of_another_site, topic_of


@pytest.mark.parametrize(
    ("target", "topic"),
    [
        ("/ws?topic=sms", "sms"),
        ("/?topic=sms", "sms"),
        ("/any/path%20here?a=b&topic=sms&c", "sms"),
        ("ws://broker.example/ws?topic=sms", "sms"),
        ("/ws?topic=otp%2Bsms%20a%26b", "otp+sms a&b"),
        ("/ws?topic=k%C3%B6ln", "köln"),
        ("/ws?topic=one&topic=two", "two"),
        ("/ws?topic=", ""),
        ("/ws?topic", ""),
        ("/ws?topic=sms#topic=other", "sms"),
    ],
)
def test_a_topic_is_read_from_any_path(target, topic):
    assert topic_of(target) == topic


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/ws", "is missing"),
        ("/ws?Topic=sms", "is missing"),
        ("/ws?topic=%00", "control"),
        ("/ws?topic=sms%0d%0aX: y", "control"),
        ("/ws?topic=%C2%85", "control"),
        ("/ws?topic=%ff", "UTF-8"),
        ("/ws?topic=" + "x" * 256, "longer"),
        ("/ws?topic=" + "%C3%B6" * 128, "longer"),
        ("/ws?" + "a&" * 40 + "topic=sms", "fields"),
    ],
)
def test_what_is_no_topic_is_refused_in_words(target, words):
    with pytest.raises(BadRequest, match=words):
        topic_of(target)


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), max_size=60))
def test_any_topic_survives_its_address(topic):
    assert topic_of(f"/ws?topic={quote(topic, safe='')}") == topic


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "user", "password"),
    [
        (f"Basic {encoded('shop:shop')}", "shop", b"shop"),
        (f"basic  {encoded('shop:a:b ')} ", "shop", b"a:b "),
        (f"BASIC {encoded(':')}", "", b""),
        (f"Basic {encoded(b'm' + bytes([0xFC]) + b'ller:x')}", "m\udcfcller", b"x"),
    ],
)
def test_credentials_are_read(header, user, password):
    assert credentials_of([header]) == Credentials(user, password)


@pytest.mark.parametrize(
    "headers",
    [[], ["Basic"], ["Basic %%%"], ["Bearer abc"], [f"Basic {encoded('shop')}"], ["Basic YTpi"] * 2],
)
def test_anything_else_is_no_login(headers):
    with pytest.raises(Unauthorized):
        credentials_of(headers)


@given(st.text(max_size=200))
def test_no_header_does_more_than_be_refused(text):
    try:
        credentials_of([text])
        topic_of(text)
    except RequestError:
        pass


@pytest.mark.parametrize(
    ("origins", "hosts", "is_foreign"),
    [
        ([], ["broker.example"], False),
        (["http://broker.example:9000"], ["broker.example:9000"], False),
        (["https://Broker.Example"], ["broker.example:9000"], False),
        (["http://[::1]:9000"], ["[::1]:9000"], False),
        (["https://evil.example"], ["broker.example:9000"], True),
        (["https://broker.example.evil.example"], ["broker.example"], True),
        (["null"], ["broker.example"], True),
        (["http://[broken"], ["broker.example"], True),
        (["http://broker.example", "http://evil.example"], ["broker.example"], True),
        (["http://broker.example"], [], True),
    ],
)
def test_a_page_of_another_site_is_recognised(origins, hosts, is_foreign):
    assert is_of_another_site(origins, hosts) is is_foreign


@pytest.mark.parametrize(
    ("address", "forwarded", "seen"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("::ffff:127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("::1", [], "::1"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("127.0.0.1", ["unknown"], "unknown"),
    ],
)
def test_limits_are_about_whom_a_trusted_proxy_names(address, forwarded, seen):
    assert caller(address, forwarded, {"127.0.0.1"}) == seen

import pytest

from otppi.publisher import ConfigurationError, Limits, Mode, MqttTransport, RestTransport, Tls
from otppi.publisher.configuration import configured
from otppi.publisher.ini import Unreadable, read

# The file of OTP-Publisher, as it is published but for the folder.
SHIPPED = """
[GENERAL]
; You can select one of REST, REDIS, AMQP, MQTT or WS
method = {method}
username = kamshory
password = kamshory
manage_otp = true
; How long OTP cache files will be kept
cache_max_age = 300
cache_dir = {folder}
[REST]
url = http://127.0.0.1:8899/api/otp
username = kamshory
password = kamshory
[REDIS]
host = 127.0.0.1
port = 6379
username = kamshory
password = kamshory
topic = sms
callback_delay = 50
[AMQP]
host = 127.0.0.1
port = 5672
username = guest
password = guest
topic = sms
callback_delay = 50
[MQTT]
host = 127.0.0.1
port = 1883
username = user
password = pass
topic = sms
callback_delay = 50
client_id = php
[WS]
host = 127.0.0.1
port = 9000
username = kamshory
password = kamshory
topic = sms
callback_delay = 50
path = /ws/
"""


def write(folder, text):
    path = folder / "publisher.ini"
    path.write_text(text)
    return path


@pytest.mark.parametrize("method", ["REST", "REDIS", "AMQP", "MQTT", "WS"])
def test_the_file_of_otp_publisher_is_understood_as_it_is(tmp_path, method):
    found = configured(write(tmp_path, SHIPPED.format(method=method, folder=tmp_path / "otp")))
    assert found.codes is not None
    assert not found.wait_for_answer
    if method == "REST":
        assert found.transport == RestTransport(
            url="http://127.0.0.1:8899/api/otp", username="kamshory", password="kamshory"
        )
        return
    ports = {"REDIS": 6379, "AMQP": 5672, "MQTT": 1883, "WS": 9000}
    assert found.transport.port == ports[method]
    assert found.transport.mode is Mode.COMPATIBLE
    assert found.transport.callback_delay_ms == 50
    if method == "MQTT":
        assert found.transport == MqttTransport(
            username="user", password="pass", client_id="php", mode=Mode.COMPATIBLE, callback_delay_ms=50
        )


def test_keys_of_our_own(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.touch()
    found = configured(
        write(
            tmp_path,
            f"""
            [GENERAL]
            method = stomp
            wait_for_answer = yes
            [STOMP]
            mode = durable
            vhost = shop
            tls = on
            ca_file = "{ca}"
            connect_timeout_s = 2.5
            timeout_s = 20
            """,
        )
    )
    assert found.wait_for_answer
    assert found.codes is None
    transport = found.transport
    assert (transport.mode, transport.vhost, transport.tls) == (Mode.DURABLE, "shop", Tls(ca_file=ca))
    assert transport.limits == Limits(connect_s=2.5, answer_s=20)
    assert transport.port == 61613


def test_the_delay_of_all_brokers_may_stand_with_amqp_as_in_php(tmp_path):
    path = write(tmp_path, "[GENERAL]\nmethod=MQTT\n[MQTT]\nhost=b\n[AMQP]\ncallback_delay=75")
    assert configured(path).transport.callback_delay_ms == 75


@pytest.mark.parametrize(
    ("text", "section", "key", "reason"),
    [
        ("[GENERAL]\nmethod = CARRIER", "GENERAL", "method", "must be REST, AMQP"),
        ("[GENERAL]\nmetod = REST", "GENERAL", "metod", "did you mean method?"),
        ("[GENERAL]\nmethod=AMQP\n[AMQP]\nport = secret-1", "AMQP", "port", "a number from 1 to 65535"),
        ("[GENERAL]\nmethod=AMQP\n[AMQP]\nport = 70000", "AMQP", "port", "a number from 1 to 65535"),
        ("[GENERAL]\nmethod=AMQP\n[AMQP]\nhost =", "AMQP", "host", "is empty"),
        ("[GENERAL]\nmethod=AMQP\n[AMQP]\ntsl = on", "AMQP", "tsl", "did you mean tls?"),
        ("[GENERAL]\nmethod=AMQP\n[AMQP]\ntls = secret-1", "AMQP", "tls", "must be true or false"),
        ("[GENERAL]\nmethod=AMQP\n[AMQP]\nverify = no", "AMQP", "tls", "is off, and keys for it"),
        ("[GENERAL]\nmethod=AMQP\n[AMQP]\ntls=1\nca_file=/nope", "AMQP", "ca_file", "no such file"),
        ("[GENERAL]\nmethod=AMQP\n[AMQP]\nmode = sure", "AMQP", "mode", "must be compatible or durable"),
        ("[GENERAL]\nmethod=MQTT\n[MQTT]\ntopic = sms/#", "MQTT", "topic", "letters, digits and"),
        ("[GENERAL]\nmethod=WS\n[WS]\nmode = durable", "WS", "mode", "keeps nothing"),
        ("[GENERAL]\nmethod=MQTT\n[MQTT]\nversion = 4", "MQTT", "version", "must be 3.1.1 or 5"),
        ("[GENERAL]\nmethod=MQTT\n[MQTT]\ntimeout_s = 0", "MQTT", "timeout_s", "number of seconds"),
        ("[GENERAL]\nmanage_otp = 1\ncache_dir = C:\\cache\\otp", "GENERAL", "cache_dir", "whole path"),
        ("[GENERAL]\nmanage_otp = 1", "GENERAL", "cache_dir", "whole path"),
        ("[REST]\nurl = ftp://secret-1/", "REST", "url", "must be such as https://"),
        ("[REST]\nurl = http://a:secret-1@b/", "REST", "url", "must not hold a password"),
        ("[REST]\nurl = http://b:secret-1/", "REST", "url", "is not an address"),
    ],
)
def test_errors_name_section_and_key_and_never_the_value(tmp_path, text, section, key, reason):
    with pytest.raises(ConfigurationError) as caught:
        configured(write(tmp_path, text))
    assert (caught.value.section, caught.value.key) == (section, key)
    assert reason in str(caught.value)
    assert "secret-1" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["[GENERAL\nmethod = REST", "= 5", 'a = "secret-1', "a = it's secret-1", "a = x&y"]
)
def test_a_line_that_makes_no_sense_is_named(tmp_path, text):
    with pytest.raises(ConfigurationError, match="line 1: ") as caught:
        configured(write(tmp_path, text))
    assert "secret-1" not in str(caught.value)
    with pytest.raises(Unreadable):
        read(text)


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        configured(tmp_path / "nowhere.ini")
    path = tmp_path / "latin.ini"
    path.write_bytes(b"[GENERAL]\nusername = caf\xe9")
    with pytest.raises(ConfigurationError, match="is not in UTF-8"):
        configured(path)


# Each as PHP 8.2 reads it.
@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("a = true", {"a": "1"}),
        ("a = TRUE", {"a": "1"}),
        ('a = "true"', {"a": "true"}),
        ("a = on ; comment", {"a": "1"}),
        ("a = no;x", {"a": ""}),
        ("a = none", {"a": ""}),
        ("a = NULL", {"a": ""}),
        ("a = nonesuch", {"a": "nonesuch"}),
        (r"a = C:\cache\otp", {"a": r"C:\cache\otp"}),
        (r'a = "C:\x\\y \" z"', {"a": r"C:\x\y " + '" z'}),
        ("""a = 'single ; "x" \\'""", {"a": 'single ; "x" \\'}),
        ("a = plain text here ; c", {"a": "plain text here"}),
        ('a = "a" b', {"a": "ab"}),
        ("a = 'a''b'", {"a": "ab"}),
        ('a = abc"def"ghi', {"a": "abcdefghi"}),
        ('a = "a b" "c d"', {"a": "a bc d"}),
        ("a = ${OTPPI_TEST}/x", {"a": "from outside/x"}),
        ('a = "${OTPPI_TEST}/x"', {"a": "from outside/x"}),
        ("a = '${OTPPI_TEST}'", {"a": "${OTPPI_TEST}"}),
        ("a = ${OTPPI_NOT_SET}x", {"a": "x"}),
        ("a = pa$s", {"a": "pa$s"}),
        ("a =", {"a": ""}),
        ("a", {}),
        ("a = 0123", {"a": "0123"}),
        ('a = "semi;colon" ; c', {"a": "semi;colon"}),
        ("a = http://127.0.0.1:8899/api/otp", {"a": "http://127.0.0.1:8899/api/otp"}),
        ("a = #hash", {"a": "#hash"}),
        ("#a=1", {"#a": "1"}),
        (r"a = x\;y", {"a": "x\\"}),
        (r'a = "x\ny"', {"a": r"x\ny"}),
        ("a=b\na=c", {"a": "c"}),
    ],
)
def test_values_are_read_as_php_reads_them(monkeypatch, line, values):
    monkeypatch.setenv("OTPPI_TEST", "from outside")
    assert read(f"[G]\n{line}\n")["G"] == values


def test_a_section_may_come_twice_and_lines_may_end_as_on_windows():
    assert read("\ufeff[A]\r\na=1\r\n[B] ; c\r\na=2\r\n[A]\r\nb=3\r\n") == {
        "": {},
        "A": {"a": "1", "b": "3"},
        "B": {"a": "2"},
    }

"""`otppi publish …`, as a command line with a gateway at the other end."""

import json

import pytest
from click.testing import CliRunner

from otppi.publisher.cli import publish
from tests.gateway_under_test import PASSWORD, USER

NUMBER = "081200000001"


@pytest.fixture
def run(real, tmp_path):
    path = tmp_path / "publisher.ini"

    def go(*words, stdin="", general="", rest="", config=path):
        path.write_text(
            f"[GENERAL]\nmethod = REST\n{general}\n[REST]\nurl = http://127.0.0.1:{real.port}/api/otp\n"
            f'username = {USER}\npassword = "{PASSWORD}"\n{rest}'
        )
        name, *others = words
        return CliRunner().invoke(publish, [name, "--config", str(config), *others], input=stdin)

    return go


def test_texts_and_codes_come_from_standard_input(run, real):
    done = run("sms", NUMBER, stdin="Halo dari naskah\n")
    assert (done.exit_code, done.stdout) == (0, "sent\n"), done.output
    assert real.texts()[-1] == "Halo dari naskah"
    assert run("message", NUMBER, "--subject", "x", stdin="Halo juga").exit_code == 0

    assert run("create", NUMBER, "ref-1", "--param", "7", stdin="Kode %s").stdout == "sent\n"
    code = real.code_sent()
    wrong = run("verify", NUMBER, "ref-1", "--param", "7", stdin="000")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("otppi: 1202 wrong code")
    assert run("verify", NUMBER, "ref-1", "--param", "7", stdin=f"{code}\n").stdout == "right\n"


def test_codes_of_its_own(run, real, tmp_path):
    general = f"manage_otp = true\ncache_dir = {tmp_path / 'codes'}"
    assert run("create", NUMBER, "own-1", stdin="Kode %s", general=general).exit_code == 0
    code = real.code_sent()
    assert len(code) == 6
    assert run("verify", NUMBER, "own-1", stdin=code, general=general).exit_code == 0
    assert run("verify", NUMBER, "own-1", stdin=code, general=general).exit_code == 1


def test_the_other_commands(run):
    assert run("block", NUMBER).stdout == "blocked\n"
    refused = run("sms", NUMBER, stdin="Halo")
    assert (refused.exit_code, refused.stderr[:11]) == (1, "otppi: 1301")
    assert run("unblock", NUMBER).stdout == "no longer blocked\n"
    assert run("email", "ani@example.com", "--subject", "Hai", stdin="Halo").exit_code == 1
    listed = run("modems").stdout.split("\t")
    assert listed[:2] == ["m0", "ready"]
    assert run("ussd", "m0", "*123#").stdout.strip()
    assert run("ussd", "m0", stdin="*123#\n").exit_code == 0
    document = json.loads(run("block", NUMBER, "--json").stdout)
    assert (document["command"], document["response_code"], document["is_answered"]) == (
        "block-msisdn",
        "0000",
        True,
    )
    assert run("unblock", NUMBER).exit_code == 0


def test_wrong_usage_and_wrong_configuration(run, tmp_path):
    assert run("sms", NUMBER, stdin="").exit_code == 2
    assert run("sms").exit_code == 2
    assert run("verify", NUMBER, "r", *["--param", "x"] * 5, stdin="1").exit_code == 2
    wrong = run("modems", rest="verfy = 1")
    assert (wrong.exit_code, wrong.stderr) == (
        1,
        "otppi: [REST] verfy: there is no such key; did you mean verify?\n",
    )
    assert run("modems", config=tmp_path / "none.ini").exit_code == 1
    refused = run("modems", rest="password = nope nope 1")
    assert refused.exit_code == 1
    assert "nope nope" not in refused.output


def test_what_is_unknown_has_an_exit_code_of_its_own(run, redis, tmp_path):
    port = redis.transport.port
    general = f"[REDIS]\nport = {port}\nusername = {redis.transport.username}\ntopic = cli\nmode = durable\n"
    path = tmp_path / "redis.ini"
    path.write_text(
        f'[GENERAL]\nmethod = REDIS\n{general}password = "{redis.transport.password}"\ntimeout_s = 0.1\n'
    )
    published = run("sms", NUMBER, stdin="Halo", config=path)
    assert (published.exit_code, published.stdout) == (0, "published\n"), published.output
    waited = run("sms", NUMBER, "--wait", stdin="Halo", config=path)
    assert (waited.exit_code, waited.stdout) == (4, "")
    assert "may have been taken" in waited.stderr
    assert run("modems", config=path).exit_code == 4

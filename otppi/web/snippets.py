"""Programs that ask the API of this device for a one-time password, ready to be pasted."""

import re
import secrets
from dataclasses import dataclass

from otppi.web.site import Visit

# What is put into the programs stands between quotes of four languages.
SAFE_USER = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
EXAMPLE_RECEIVER = "6281200000001"

_CURL_REQUEST = """\
curl -u '@USER@:@PASSWORD@' '@URL@' -d '{"command":"request-otp",
"data":{"reference":"@REFERENCE@","receiver":"@RECEIVER@","message":"@MESSAGE@"}}'
"""
_CURL_VERIFY = """\
curl -u '@USER@:@PASSWORD@' '@URL@' -d '{"command":"verify-otp",
"data":{"reference":"@REFERENCE@","receiver":"@RECEIVER@","otp":"123456"}}'
"""
_PHP = """\
<?php
const URL = '@URL@';
const USER = '@USER@';
const PASSWORD = '@PASSWORD@';

function ask(string $command, array $data): array
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            'Authorization: Basic ' . base64_encode(USER . ':' . PASSWORD),
            'Content-Type: application/json',
        ],
        'content' => json_encode(['command' => $command, 'data' => $data]),
        'timeout' => 70,
    ]]);
    return json_decode(file_get_contents(URL, false, $context), true);
}

$who = ['reference' => 'login-' . time(), 'receiver' => '@RECEIVER@'];
$answer = ask('request-otp', $who + ['message' => '@MESSAGE@']);
if ($answer['response_code'] !== '0000') {
    exit($answer['error'] . PHP_EOL);
}
echo 'Code from the SMS: ';
$answer = ask('verify-otp', $who + ['otp' => trim(fgets(STDIN))]);
echo $answer['response_code'] === '0000' ? 'verified' : 'refused', PHP_EOL;
"""
_PYTHON = """\
import base64
import json
import time
import urllib.request

URL = "@URL@"
USER, PASSWORD = "@USER@", "@PASSWORD@"


def ask(command, **data):
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    body = json.dumps({"command": command, "data": data}).encode()
    with urllib.request.urlopen(urllib.request.Request(URL, body, headers), timeout=70) as answer:
        return json.load(answer)


who = {"reference": f"login-{int(time.time())}", "receiver": "@RECEIVER@"}
answer = ask("request-otp", **who, message="@MESSAGE@")
if answer["response_code"] != "0000":
    raise SystemExit(answer["error"])
answer = ask("verify-otp", **who, otp=input("Code from the SMS: ").strip())
print("verified" if answer["response_code"] == "0000" else "refused")
"""
_JAVASCRIPT = """\
import { createInterface } from "node:readline/promises";

const url = "@URL@";
const login = Buffer.from("@USER@:@PASSWORD@").toString("base64");

async function ask(command, data) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { Authorization: `Basic ${login}`, "Content-Type": "application/json" },
    body: JSON.stringify({ command, data }),
  });
  return answer.json();
}

const who = { reference: `login-${Date.now()}`, receiver: "@RECEIVER@" };
let answer = await ask("request-otp", { ...who, message: "@MESSAGE@" });
if (answer.response_code !== "0000") throw new Error(answer.error);
const terminal = createInterface({ input: process.stdin, output: process.stdout });
const otp = (await terminal.question("Code from the SMS: ")).trim();
terminal.close();
answer = await ask("verify-otp", { ...who, otp });
console.log(answer.response_code === "0000" ? "verified" : "refused");
"""


@dataclass(frozen=True, kw_only=True)
class Snippets:
    """The programs by language; curl takes two, as the code comes in between."""

    curl_request: str
    curl_verify: str
    php: str
    python: str
    javascript: str


def api_addresses(visit: Visit) -> tuple[str, str]:
    """Return where the API is asked by HTTP and by HTTPS, as the visitor reaches the device; empty if switched off."""
    api = visit.call("settings.get", path="api")
    host = visit.url_host
    plain = f"http://{host}:{api['http_port']}{api['otp_path']}" if api["http_enabled"] else ""
    encrypted = f"https://{host}:{api['https_port']}{api['otp_path']}" if api["https_enabled"] else ""
    return plain, encrypted


def snippets(*, url: str, user: str, password: str, receiver: str, message: str) -> Snippets:
    """Return programs that request a code and verify it.

    Args:
        url: Of the API.
        user: An API user whose name is a `SAFE_USER`.
        password: Letters, digits, hyphens and underscores.
        receiver: Digits.
        message: Without quotes, `$` and backslashes; `%s` stands for the code.
    """
    values = {
        "URL": url,
        "USER": user,
        "PASSWORD": password,
        "RECEIVER": receiver,
        "MESSAGE": message,
        # While a code of the same reference is live, another one is refused.
        "REFERENCE": f"login-{secrets.token_hex(2)}",
    }

    def filled(program: str) -> str:
        return re.sub("@([A-Z]+)@", lambda found: values[found[1]], program)

    return Snippets(
        curl_request=filled(_CURL_REQUEST),
        curl_verify=filled(_CURL_VERIFY),
        php=filled(_PHP),
        python=filled(_PYTHON),
        javascript=filled(_JAVASCRIPT),
    )

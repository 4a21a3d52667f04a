"""The admin API: every function of the device for programs."""

import inspect
import json
from collections.abc import Iterator, Mapping
from types import MethodType
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from otppi.gateway.accounts import Administrator
from otppi.gateway.admin_tokens import AdminToken
from otppi.gateway.functions import HIDDEN, is_secret_name
from otppi.gateway.rights import RIGHTS, Role
from otppi.services.logs import Logs
from otppi.services.sections import SECTIONS
from otppi.settings.store import SettingsStore
from otppi.system.clock.keeper import ClockKeeper
from tests.web.admin_client import PASSWORD, AdminClient, admin_client

API = "/api/admin/v1/"
SECRET = "not to be told to anybody"
# What the owner of the state folder may do at the command line, and nobody from afar.
COMMAND_LINE_ONLY = {
    "admin.add",  # gives any account another password
    "ssh.ports",
    "ssh.show",
}


class Program:
    """Somebody with a token."""

    def __init__(self, port: int, token: str) -> None:
        self._client = AdminClient(port)
        self._token = token

    def call(self, name: str, /, **args: Any) -> tuple[int, Any]:
        return self.send(name, json.dumps(args).encode())

    def send(self, name: str, body: bytes | None, **headers: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}", **headers}
        page = self._client.ask("POST", f"{API}{name}", body, **headers)
        assert page.headers["Content-Type"] == "application/json", page.text
        assert page.headers["Cache-Control"] == "no-store"
        return page.status, json.loads(page.text)

    def refused(self, name: str, /, **args: Any) -> tuple[int, str, Mapping[str, str]]:
        status, document = self.call(name, **args)
        assert set(document) == {"error"}
        assert set(document["error"]) == {"code", "message", "fields"}
        return status, document["error"]["message"], document["error"]["fields"]


@pytest.fixture
def pages(gateway):
    """A device that looks for modems, which is nearly all that one on a board does."""
    return gateway(on_desk=True, sticks=lambda: ())


@pytest.fixture
def program(pages, owner):
    def make(role: str = "owner", user: str = "owner") -> Program:
        made = pages.gateway._admin_site._tokens.make(user, role, "a test")
        return Program(pages.admin_port, made["token"])

    return make


@pytest.fixture
def store(pages) -> SettingsStore:
    return pages.gateway.store


def table_of(pages) -> Mapping[str, Any]:
    return pages.gateway._control._functions


def full_table(pages) -> Mapping[str, Any]:
    """The functions of a board, which has a clock and a journal of its own."""
    set_clock = MethodType(ClockKeeper.set_by_hand, object())
    return {**table_of(pages), **Logs(has_journal=True).functions(), "clock.set": set_clock}


def rows(pages) -> list[dict[str, Any]]:
    return pages.gateway._admin_site._audit.page(count=500)["rows"]


# ---- the table ----------------------------------------------------------------------------------------------------


def test_every_function_has_a_right_and_every_right_a_function(pages):
    table = full_table(pages)
    assert set(table) - set(RIGHTS) == COMMAND_LINE_ONLY & set(table)
    assert set(RIGHTS) - set(table) == set()


def test_every_function_says_what_it_does_and_of_which_types_its_arguments_are(pages):
    for name, function in full_table(pages).items():
        if name not in RIGHTS:
            continue
        assert inspect.getdoc(function), f"{name} has no docstring"
        signature = inspect.signature(function)
        for one in signature.parameters.values():
            assert one.annotation is not inspect.Parameter.empty, f"{name}: {one.name} has no type"
        assert signature.return_annotation is not inspect.Parameter.empty, f"{name} returns nobody knows what"


def test_hidden_arguments_are_arguments(pages):
    table = full_table(pages)
    for name, right in RIGHTS.items():
        assert right.hidden <= set(inspect.signature(table[name]).parameters), name


def test_the_description_is_openapi(pages, owner):
    description = json.loads(owner.get("/openapi.json").text)
    OpenAPIV31SpecValidator(description).validate()
    assert set(description["paths"]) == {f"{API}{name}" for name in RIGHTS if name in table_of(pages)}
    for path, item in description["paths"].items():
        operation = item["post"]
        assert operation["summary"][-1] in ".;:", path
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert "by" not in schema["properties"]
        for name, one in schema["properties"].items():
            assert one, f"{path}: {name} may be anything"


# ---- who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic b3duZXI6eA==", "é"]
)
def test_without_a_token_nothing_is_answered(pages, owner, authorization):
    nobody = AdminClient(pages.admin_port)
    for body in (None, b"{}", b"not JSON"):
        page = nobody.ask(
            "POST", f"{API}modem.list", body, Authorization=authorization.encode().decode("latin-1")
        )
        assert page.status == 401
        assert page.headers["WWW-Authenticate"] == "Bearer"
        assert set(json.loads(page.text)) == {"error"}


def test_a_session_needs_the_token_of_its_pages(owner):
    assert owner.ask("POST", f"{API}own.show").status == 401
    assert owner.ask("POST", f"{API}own.show", X_CSRF_Token="wrong").status == 401
    answer = owner.ask("POST", f"{API}own.show", X_CSRF_Token=owner.csrf)
    assert json.loads(answer.text)["result"]["user"] == "owner"


def test_a_wrong_token_is_not_made_good_by_a_session(owner):
    answer = owner.ask("POST", f"{API}own.show", X_CSRF_Token=owner.csrf, Authorization="Bearer wrong")
    assert answer.status == 401


@pytest.mark.parametrize("role", list(Role))
def test_a_token_may_call_what_its_role_may_and_nothing_else(pages, program, role):
    one = program(role.value)
    for name in RIGHTS.keys() & table_of(pages):
        right = RIGHTS[name]
        # An argument that there is nowhere: what may be called gets that far and no further.
        status, document = one.call(name, no_such_argument=1)
        if role.includes(right.role):
            assert (status, document["error"]["fields"]) == (
                400,
                {"no_such_argument": "there is no such argument"},
            ), name
        else:
            assert (status, document["error"]["fields"]) == (403, {}), name
    assert {row["outcome"] for row in rows(pages) if row["what"] != "log_in"} <= {"refused"}


def test_who_tries_what_the_role_does_not_allow_is_noted_with_the_token(pages, program, store):
    program("viewer").call("settings.set", values={"sms.country_code": "60"})
    (token_id,) = store.items(AdminToken)
    row = rows(pages)[0]
    assert (row["user"], row["what"], row["outcome"]) == ("owner", "settings.set", "refused")
    assert row["details"] == {"by token": token_id}


def test_a_token_is_never_more_than_its_administrator(pages, owner, operator, program, store):
    one = program("owner", user="operator")
    assert one.call("settings.get", path="sms")[0] == 403
    assert one.call("inbox.list", search="", offset=0, count=1)[0] == 200
    store.put(Administrator, "operator", {"blocked": True})
    assert one.call("modem.list")[0] == 401


def test_what_is_for_the_command_line_cannot_be_called(program):
    for name in (*COMMAND_LINE_ONLY, "no.such.function", "__class__"):
        status, message, _ = program().refused(name.replace("__", "."))
        assert (status, message) == (400, "this device does not do that")


# ---- arguments and answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "field"),
    [
        ("settings.get", {}, "path"),
        ("settings.get", {"path": 5}, "path"),
        ("settings.set", {"values": []}, "values"),
        ("number.block", {"number": "081200000001", "blocked": "yes"}, "blocked"),
        ("number.block", {"number": "081200000001", "blocked": 1}, "blocked"),
        ("audit.list", {"offset": True}, "offset"),
        ("audit.list", {"offset": "0"}, "offset"),
        ("modem.list", {"extra": 1}, "extra"),
        ("admin.put", {"user": "ann", "by": "owner"}, "by"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(program, name, args, field):
    status, _, fields = program().refused(name, **args)
    assert (status, list(fields)) == (400, [field])


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"{", b"null", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(program, body):
    status, document = program().send("own.show", body)
    assert status == (200 if not body else 400)
    assert "Traceback" not in str(document)


def test_a_large_backup_comes_in_whole(program):
    content = "A" * (3 << 20)
    status, message, _ = program().refused("backup.restore", content=content, passphrase="x")
    assert status == 400
    assert "JSON" not in message


def test_settings_that_do_not_fit_are_refused_with_their_names(program, store):
    before = store.get_path("sms")
    values = {"sms.country_code": "x", "sms.answer_limit_s": -1}
    status, _, fields = program().refused("settings.set", values=values)
    assert (status, set(fields)) == (422, set(values))
    assert store.get_path("sms") == before


def test_everything_that_only_looks_answers_json(pages, program):
    one, table = program(), table_of(pages)
    for name in RIGHTS.keys() & table:
        right, wanted = RIGHTS[name], inspect.signature(table[name]).parameters.values()
        is_asked = [
            parameter
            for parameter in wanted
            if parameter.default is inspect.Parameter.empty and parameter.name != "by"
        ]
        if not right.changes and not is_asked:
            status, document = one.call(name)
            assert status == 200, (name, document)


@pytest.mark.parametrize("name", ["settings.set", "settings.put", "settings.remove", "settings.reset"])
@pytest.mark.parametrize("section", ["admins", "admin_tokens"])
def test_accounts_are_out_of_reach_of_the_functions_for_settings(program, store, name, section):
    program("viewer")
    before = {one: dict(store.items(one)) for one in store.sections if one.key == section}
    item = next(iter(next(iter(before.values()))))
    args = {
        "settings.set": {"values": {"sms.country_code": "60", f"{section}.{item}.role": "viewer"}},
        "settings.put": {"section": section, "item": item, "values": {"role": "viewer"}},
        "settings.remove": {"section": section, "item": item},
        "settings.reset": {"section": section},
    }[name]
    status, message, _ = program().refused(name, **args)
    assert (status, message) == (400, "section: accounts of administrators have functions of their own")
    after = {one: dict(store.items(one)) for one in before}
    assert all(dict(after[one]).items() >= dict(before[one]).items() for one in before)
    assert store.get_path("sms.country_code") == "62"


def test_accounts_in_a_document_are_left_out_and_said_to_be(pages, program, store):
    one = program()
    passphrase = "correct horse battery"
    document = one.call("settings.export", passphrase=passphrase)[1]["result"]
    document["sections"]["admins"]["owner"]["role"] = "viewer"
    document["sections"]["admin_tokens"] = {}
    document["sections"]["sms"]["country_code"] = "60"
    before = [dict(store.items(section)) for section in (Administrator, AdminToken)]
    _, answer = one.call("settings.import", document=document, passphrase=passphrase)
    assert answer["result"]["ignored"] == ["admins", "admin_tokens"]
    assert [dict(store.items(section)) for section in (Administrator, AdminToken)] == before
    assert store.get_path("sms.country_code") == "60"
    assert rows(pages)[0]["details"]["changed"] == ["sms"]


def test_nobody_is_told_a_whole_number_of_a_card_or_a_modem(pages, program):
    pages.wait_until(lambda: program().call("modem.list")[1]["result"][0]["imsi"])
    (afar,) = program("viewer").call("modem.list")[1]["result"]
    (here,) = table_of(pages)["modem.list"]()
    for name in ("imei", "imsi", "iccid", "smsCenter"):
        assert len(here[name]) > 9, name
        assert afar[name] == f"…{here[name][-4:]}"
        assert here[name] not in json.dumps(afar)


# ---- what is noted ------------------------------------------------------------------------------------------------


def test_what_changes_something_is_noted_and_looking_is_not(pages, program, store):
    one = program()
    one.call("modem.list")
    one.call("settings.set", values={"sms.country_code": "60"})
    one.call("settings.set", values={"sms.country_code": "x"})
    noted = [(row["user"], row["what"], row["details"], row["outcome"]) for row in rows(pages)]
    by = {"by token": next(iter(store.items(AdminToken)))}
    assert noted[:2] == [
        ("owner", "settings.set", {**by, "values": {"sms.country_code": "x"}}, "refused"),
        ("owner", "settings.set", {**by, "values": {"sms.country_code": "60"}}, "done"),
    ]
    assert "modem.list" not in str(noted)


def secret_settings() -> Iterator[tuple[str, str]]:
    for section in SECTIONS:
        for setting in section.describe():
            if setting.is_secret:
                yield section.key, setting.name


def test_the_name_of_every_secret_setting_is_known_as_one():
    found = dict(secret_settings())
    assert len(found) > 3
    for section, name in secret_settings():
        assert is_secret_name(name), f"{section}.{name}: no row of the audit trail may hold it"


def test_hardly_any_other_setting_is_kept_out_of_the_audit_trail():
    others = {
        f"{section.key}.{one.name}" for section in SECTIONS for one in section.describe() if not one.is_secret
    }
    assert {one for one in others if is_secret_name(one.partition(".")[2])} == {
        "bell.gpio_pin",
        "reset.needs_secret",
    }


def test_no_secret_is_noted_whatever_came_of_the_call(pages, program, store):
    one = program()
    # Of one user no more than so many refusals are noted in a minute.
    one.call("admin.put", user="bob", password=PASSWORD, role="owner", own_password=PASSWORD)
    one.call("admin.put", user="eve", password=PASSWORD, role="owner", own_password=PASSWORD)
    half = iter((program(user="bob"), program(user="eve")) * 100)
    secrets: dict[str, list[str]] = {}
    for section, name in secret_settings():
        secrets.setdefault(section, []).append(name)
    for section, names in secrets.items():
        of_settings = next(half)
        item = "m0" if section == "modems" else "shop"
        places = [place for name in names for place in (f"{section}.{name}", f"{section}.{item}.{name}")]
        of_settings.call("settings.set", values=dict.fromkeys(places, SECRET))
        of_settings.call("settings.put", section=section, item="new", values=dict.fromkeys(names, SECRET))
    calls: dict[str, dict[str, Any]] = {
        "admin.put": {"user": "ann", "password": SECRET, "own_password": SECRET},
        "api_user.add": {"user": "app", "password": SECRET},
        "api_user.put": {"user": "shop", "values": {"password": SECRET}},
        "token.make": {"role": "viewer", "password": SECRET},
        "own.password": {"password": SECRET, "new_password": SECRET},
        "own.put": {"phone": "081200000001", "password": SECRET},
        "own.enable_totp": {"secret": SECRET, "code": SECRET, "password": SECRET},
        "own.disable_totp": {"password": SECRET},
        "send": {"number": "081200000001", "text": SECRET},
        "inbox.reply": {"message_id": "x", "text": SECRET},
        "ussd": {"modem": "m0", "code": SECRET},
        "sim.pin.enter": {"modem": "m0", "pin": SECRET},
        "sim.pin.change": {"modem": "m0", "pin": SECRET, "new_pin": SECRET},
        "sim.unblock": {"modem": "m0", "puk": SECRET, "new_pin": SECRET},
        "modem.put": {"modem": "", "values": {"sim_pin": SECRET, "apn_password": SECRET}},
        "backup.make": {"passphrase": SECRET},
        "backup.restore": {"passphrase": SECRET, "content": SECRET},
        "settings.export": {"passphrase": SECRET},
        "settings.import": {"document": {"a": [SECRET]}, "passphrase": SECRET},
        "certificate.put": {"documents": [SECRET], "password": SECRET},
        "old_device.apply": {"content": SECRET},
    }
    for name, args in calls.items():
        one.call(name, **args)
    noted = rows(pages)
    assert "not noted for some time" not in json.dumps(noted)
    assert {"settings.set", "admin.put", "send", "backup.make"} <= {row["what"] for row in noted}
    assert SECRET not in json.dumps(noted)
    assert HIDDEN in json.dumps(noted)
    assert "81200000001" not in json.dumps(noted), "no whole number either"


def test_a_new_administrator_made_by_a_program_can_log_in(pages, program):
    args = {"user": "ann", "password": PASSWORD, "role": "viewer"}
    assert program().refused("admin.put", **args)[2] == {"own_password": "is not your password"}
    assert program().call("admin.put", **args, own_password=PASSWORD)[0] == 200
    assert admin_client(pages, "ann").get("/account").status == 200

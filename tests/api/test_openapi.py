import inspect
import re

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

import otppi
from otppi.api import openapi
from otppi.api.openapi import description, error_classes, example
from otppi.api.rest import PERMANENT_PATHS
from otppi.gateway import answers
from otppi.gateway.commands import COMMANDS, Commands
from otppi.gateway.otp import OtpSettings
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.model import errors
from otppi.model.errors import (
    Busy,
    OtpPiError,
    OtpTooManyTries,
    SettingsError,
    TooManyRequests,
    UnknownCommand,
)
from otppi.model.modems import ModemState, ModemStatus, Signal
from otppi.model.requests import Origin
from otppi.model.results import (
    BlockListChanged,
    Echoed,
    MailReceipt,
    ModemList,
    OtpSent,
    OtpVerified,
    SmsReceipt,
    UssdCancelled,
    UssdReply,
)

ORIGIN = Origin(door="rest", user="shop", address="192.0.2.7")
# When the times that stand in the examples were near.
EXAMPLES_WALL_S = 1_629_685_780.0
MODEM = ModemStatus(
    id="m1", name="one", port="/dev/ttyUSB0", state=ModemState.READY, signal=Signal(csq=20, bit_error_rate=0)
)
RECEIPT = SmsReceipt(modem_id="m1", modem_name="one", parts=2, references=(17, 18))
MAIL = MailReceipt(account_id="a1", account_name="office", message_id="9f86d081884c7d65")
RESULTS = {
    "request-otp": OtpSent(receipt=RECEIPT, life_s=300),
    "verify-otp": OtpVerified(),
    "send-sms": RECEIPT,
    "send-message": RECEIPT,
    "send-email": MAIL,
    "send-mail": MAIL,
    "block-msisdn": BlockListChanged(),
    "unblock-msisdn": BlockListChanged(),
    "get-modem-list": ModemList(modems=(MODEM,)),
    "request-ussd": UssdReply(modem_id="m1", text="Rp 5000", raw="+CUSD: 0", expects_reply=False),
    "cancel-ussd": UssdCancelled(),
}


@pytest.fixture(scope="module")
def document():
    return description(PERMANENT_PATHS)


@pytest.fixture
def commands(clock):
    return Commands(
        general=lambda: GeneralSettings(), sms=lambda: SmsSettings(), otp=lambda: OtpSettings(), clock=clock
    )


def operation(document, name):
    return document["paths"][f"/api/v1/{name}"]["post"]


def request_schema(document, name):
    return operation(document, name)["requestBody"]["content"]["application/json"]["schema"]


def answer_schema(document, name):
    schema = operation(document, name)["responses"]["200"]["content"]["application/json"]["schema"]
    return {**schema, "components": document["components"]}


def refusals(document, name):
    """Return every example of a refusal with its status."""
    return [
        (int(status), shown["value"])
        for status, response in operation(document, name)["responses"].items()
        for shown in response.get("content", {}).get("application/json", {}).get("examples", {}).values()
    ]


def all_subclasses(cls):
    for sub in cls.__subclasses__():
        yield sub
        yield from all_subclasses(sub)


def test_the_description_is_valid_openapi_3_1(document):
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1.")


def test_the_version_is_that_of_the_package(document):
    assert document["info"]["version"] == otppi.__version__


def test_every_command_has_its_path_and_no_other_has_one(document):
    described = {path.removeprefix("/api/v1/") for path in document["paths"] if path.startswith("/api/v1/")}
    assert described == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_described_with_what_its_declaration_says(document, name):
    schema = request_schema(document, name)
    for argument in COMMANDS[name].arguments:
        described = schema["properties"][argument.name]
        assert argument.help in described["description"]
        assert all(f"`{alias}`" in described["description"] for alias in argument.aliases)
        assert (argument.name in schema.get("required", [])) == argument.required
    assert len(schema["properties"]) == len(COMMANDS[name].arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_command_is_accepted(document, name, commands):
    data = operation(document, name)["requestBody"]["content"]["application/json"]["example"]
    assert data == example(name)
    Draft202012Validator(request_schema(document, name)).validate(data)
    assert commands.parse({"command": name, "data": data}, ORIGIN).command == name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_all_fields_together_are_accepted(document, name, commands, clock):
    clock.wall = EXAMPLES_WALL_S
    schema = request_schema(document, name)
    data = {
        field: described["examples"][0]
        for field, described in schema["properties"].items()
        if "examples" in described
    }
    Draft202012Validator(schema).validate(data)
    assert commands.parse({"command": name, "data": data}, ORIGIN).command == name


def test_the_examples_of_the_compatible_path_are_accepted(document, commands):
    content = document["paths"]["/api/otp"]["post"]["requestBody"]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    shown = [one["value"] for one in content["examples"].values()]
    for one in shown:
        Draft202012Validator(schema).validate(one)
        for request in one["data"] if isinstance(one["data"], list) else [one]:
            commands.parse(request, ORIGIN)
    assert {one["command"] for one in shown} == set(COMMANDS)
    assert any(isinstance(one["data"], list) for one in shown)


def test_the_outcomes_of_the_compatible_path_are_shown_as_they_are_sent(document):
    content = document["paths"]["/api/otp"]["post"]["responses"]["200"]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    codes = []
    for one in content["examples"].values():
        Draft202012Validator(schema).validate(one["value"])
        codes.append(one["value"]["response_code"])
    assert codes == ["0000", "1202"]


def test_every_compatible_path_is_named(document):
    text = document["paths"]["/api/otp"]["post"]["description"]
    assert all(f"`{path}`" in text for path in PERMANENT_PATHS)


def test_the_code_of_every_class_of_errors_is_in_the_table(document):
    rows = re.findall(r"^\| (\d{4}) \| (\d{3}) \| (.+) \|$", document["info"]["description"], re.MULTILINE)
    assert ("0000", "200", "Done.") in rows
    for error in all_subclasses(OtpPiError):
        if issubclass(error, errors.DeviceError):
            continue
        if error.__module__ != errors.__name__ or (error.__subclasses__() and "code" not in vars(error)):
            continue
        assert (error.code, str(error.status), inspect.getdoc(error).splitlines()[0]) in rows, error


def test_every_class_of_errors_is_among_the_answers_of_a_command(document):
    described = {
        one
        for name in COMMANDS
        for response in operation(document, name)["responses"].values()
        for one in response.get("content", {}).get("application/json", {}).get("examples", {})
    }
    # Another name in the path; the settings, which have no command; the pages, which ask for a second factor.
    elsewhere = {UnknownCommand.__name__, SettingsError.__name__, errors.SecondFactorNeeded.__name__}
    assert described == {error.__name__ for error in error_classes()} - elsewhere


def test_errors_are_listed_for_commands_that_exist():
    assert set(openapi._COMMAND_ERRORS) <= set(COMMANDS)
    assert set(openapi._ANSWER_DATA) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_refusals_stand_at_the_status_of_their_class(document, name):
    statuses = {(error.code, error.status) for error in error_classes()}
    schema = {"$ref": "#/components/schemas/Answer", "components": document["components"]}
    for status, shown in refusals(document, name):
        assert (shown["response_code"], status) in statuses
        Draft202012Validator(schema).validate(shown)


@pytest.mark.parametrize("error", [TooManyRequests, OtpTooManyTries, Busy])
def test_a_refusal_that_names_a_wait_shows_it_in_header_and_data(document, error):
    response = operation(document, "verify-otp")["responses"][str(error.status)]
    shown = response["content"]["application/json"]["examples"][error.__name__]["value"]
    assert "Retry-After" in response["headers"]
    assert shown["data"]["retry_after"] > 0


def test_an_unknown_outcome_is_no_server_error(document):
    assert "1408" in operation(document, "send-sms")["responses"]["409"]["description"]
    assert "**`1408` means that nobody knows.**" in document["info"]["description"]


@pytest.mark.parametrize("name", RESULTS)
def test_an_answer_has_just_the_fields_that_are_described(document, name, commands):
    request = commands.parse({"command": name, "data": example(name)}, ORIGIN)
    answer = answers.success(request, RESULTS[name])
    schema = answer_schema(document, name)
    Draft202012Validator(schema).validate(answer)
    told = set(answer["data"])
    if name.startswith("send-"):
        # With a fallback it may go either way.
        assert told < set(schema["properties"]["data"]["properties"])
        told |= set().union(*(answers.success(request, one)["data"] for one in (RECEIPT, MAIL)))
    assert told == set(schema["properties"]["data"]["properties"])


def test_the_answer_to_echo_is_described_at_both_paths(document, commands):
    sent = {"command": "echo", "data": {"any": ["thing", 1]}}
    answer = answers.success(commands.parse(sent, ORIGIN), Echoed())
    assert answer == sent
    Draft202012Validator(answer_schema(document, "echo")).validate(answer)
    schema = {"$ref": "#/components/schemas/Answer", "components": document["components"]}
    Draft202012Validator(schema).validate(answer)


def test_a_modem_has_just_the_fields_that_are_described(document):
    shown, described = answers.modem(MODEM), document["components"]["schemas"]["Modem"]["properties"]
    assert set(shown) == set(described)
    assert set(shown["signalStrength"]) == set(described["signalStrength"]["properties"])


def test_a_refusal_has_no_field_that_is_not_described(document):
    refused = answers.failure("send-sms", errors.BadRequest("data.receiver", "is missing"))
    waits = answers.failure("send-sms", Busy("full", retry_after_s=1.5))
    schema = document["components"]["schemas"]["Answer"]["properties"]
    assert set(refused) | set(waits) == set(schema)
    assert set(waits["data"]) == set(schema["data"]["properties"])


def test_only_health_and_metrics_can_be_read_without_a_login(document):
    open_paths = [
        path
        for path, item in document["paths"].items()
        for one in item.values()
        if one.get("security", document["security"]) != [{"basic": []}]
    ]
    assert open_paths == ["/healthz", "/metrics"]


def test_every_operation_has_an_id_of_its_own(document):
    ids = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    assert len(ids) == len(set(ids))

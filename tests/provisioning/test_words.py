import ast

import pytest

from provisioning.words import shown_in


def found(source: str) -> list[str]:
    return list(shown_in(ast.parse(source)))


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("raise Refused('is not a number')", ["is not a number"]),
        ("reason = f'has {n} letters' if n else 'is left empty'", ["has {} letters", "is left empty"]),
        ("x = 'it ends ' + f'in {n} days'", ["it ends in {} days"]),
        ("ADVICE = {'a': 'Restart the device.'}", ["Restart the device."]),
        ("Check(name='clock')", ["clock"]),
        ("class ModemState(StrEnum):\n    READY = 'ready'", ["ready"]),
    ],
)
def test_what_people_may_read_is_found(source, texts):
    assert found(source) == texts


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    'Return the first one.'",
        "log.error('the disk is full', extra={'fields': {'a b': 1}})",
        "AT = r'[0-9]+ (OK|ERROR) x'",
        "KEY = 'settings'",
        "x = f'{a} {b}'",
        "if 'not authorized' in text.lower(): pass",
    ],
)
def test_what_nobody_reads_is_not(source):
    assert found(source) == []

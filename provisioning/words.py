"""Gathers every text of the pages for its translation, and makes the catalogues: `make words`.

    python -m provisioning.words            gather, merge with what is translated, write .po and .mo
    python -m provisioning.words --check    say what is missing or stale, and change nothing
    python -m provisioning.words --take F…  take translations from other .po files as well

Three kinds of text are gathered: those of templates and pages, marked by `_(…)`, `words(…)`, `many(…)` and `N_(…)`; the
declarations of settings; and of lower layers whatever reads like a sentence, and the single words of states, checks and
errors. That is more than pages can ever show, and nothing that they can is forgotten. A sentence with values in it is
kept with `{}` in their place, as `otppi.web.words.Words.said` reads it.
"""

import ast
import io
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from otppi.services.sections import SECTIONS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "otppi"
FOLDER = PACKAGE / "web" / "locale" / "id" / "LC_MESSAGES"
PO, MO = FOLDER / "otppi.po", FOLDER / "otppi.mo"

_KEYWORDS = {"_": None, "N_": None, "words": None, "many": (1, 2)}
# Layers whose sentences reach people over the pages. What is of the command line or of a protocol is left out.
_PACKAGES = (
    "model",
    "settings",
    "gateway",
    "modems",
    "brokers",
    "ddns",
    "mail",
    "submission",
    "vendors",
    "system",
    "services",
    "wsgi",
    "lib",
)
_LEFT_OUT = (
    *(
        "answers.py",
        "brochure",
        "cli",
        "commands.py",
        "compose.py",
        "demo.py",
        "docs.py",
        "doctor.py",
        "families/",
        "first_boot",
        "iptables.py",
    ),
    *(
        "metrics",
        "modem_doctor",
        "pdu",
        "peer.py",
        "personalise",
        "personality",
        "preset",
        "received_pdu",
        "recording",
    ),
    *("redaction", "reset_apply", "rtc.py", "ruleset.py", "section.py", "tune.py"),
)
_LEAST_LETTERS = 3
_NO_DATE = datetime(2026, 1, 1, tzinfo=UTC)  # dates would make every run a change
# Calls, classes and tables whose single words are shown.
_CALLS = frozenset({"Check", "_check", "_check_ready", "_green", "_last", "_red"})
_SHOWN_ENUMS = frozenset({"ModemState", "Registration", "Outcome", "ReportOutcome", "Level", "Role"})
_ARGUMENTS = frozenset({"finding", "reason", "title", "unit", "state"})
_TABLES = frozenset({"_CMS_WORDS", "_CME_WORDS", "_OPERATOR_STATUS"})
_SENTENCE = re.compile(r"[A-Za-z{(“][^\\|\[\]^$<>=]*")
_WORD = re.compile(r"[A-Za-z]{2,}")
_GAP = "{}"
_OPTION = re.compile(r"--?[a-z{]")  # a command line; its many gaps would fit anything that has hyphens


def gathered() -> dict[str | tuple[str, str], None]:
    """Return every text once, in a stable order; plural ones as pairs."""
    found: dict[str | tuple[str, str], None] = {}
    below = (text for text in _of_lower_layers() if _has_words(text))
    for text in (*_of_pages(), *_of_settings(), *below):
        if text:
            found.setdefault(text)
    return found


def _has_words(text: str) -> bool:
    return sum(letter.isalpha() for letter in text) >= _LEAST_LETTERS and not _OPTION.match(text)


def _of_pages() -> Iterator[str | tuple[str, str]]:
    for path in sorted((PACKAGE / "web").rglob("*")):
        method = {".html": "jinja2", ".py": "python"}.get(path.suffix)
        if method is None:
            continue
        options = {"trimmed": "true"} if method == "jinja2" else {}
        with io.BytesIO(path.read_bytes()) as source:
            for _, message, _, _ in extract(method, source, keywords=_KEYWORDS, options=options):
                yield (message[0], message[1]) if isinstance(message, tuple) else message


def _of_settings() -> Iterator[str]:
    for section in SECTIONS:
        yield section.title
        yield section.description
        for setting in section.describe():
            yield from (setting.title, setting.help, setting.shape, setting.unit)
            if setting.limits not in (setting.pattern, ", ".join(setting.choices)):
                yield setting.limits
            yield from (one for one in setting.choice_titles if _has_words(one) and not one.isupper())


def _of_lower_layers() -> Iterator[str]:
    for package in _PACKAGES:
        for path in sorted((PACKAGE / package).rglob("*.py")):
            name = path.relative_to(PACKAGE / package).as_posix()
            if not any(name.startswith(one) or path.name.startswith(one) for one in _LEFT_OUT):
                yield from shown_in(ast.parse(path.read_text("utf-8")))


def shown_in(tree: ast.Module) -> Iterator[str]:
    """Return the texts of a module of a lower layer that people may read."""
    hidden = {id(one) for one in _not_for_people(tree)}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.expr) and _reads_like_a_sentence(text := _text_of(node)):
            yield text
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            yield from (_text_of(one) for one in (*node.args, *(word.value for word in node.keywords)))
        elif isinstance(node, ast.keyword) and node.arg in _ARGUMENTS:
            yield _text_of(node.value)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in _TABLES:
            yield from (_text_of(one) for one in ast.walk(node.value) if isinstance(one, ast.expr))
        elif isinstance(node, ast.ClassDef) and node.name in _SHOWN_ENUMS:
            yield from (_text_of(one.value) for one in node.body if isinstance(one, ast.Assign))


def _not_for_people(tree: ast.Module) -> Iterator[ast.AST]:
    """Docstrings, what is logged or looked for in another text, and the pieces of what is a text as a whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "log":
                yield from ast.walk(node)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
            yield node.left
        elif isinstance(node, ast.JoinedStr):
            yield from node.values
        elif isinstance(node, ast.BinOp) and _text_of(node):
            yield from (node.left, node.right)


def _reads_like_a_sentence(text: str) -> bool:
    return " " in text.strip() and bool(_SENTENCE.fullmatch(text.lstrip())) and len(_WORD.findall(text)) > 1


def _text_of(node: ast.expr) -> str:
    """Return the text that an expression is, with gaps for what is put in; empty if it is none."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return _with_gaps(node)
        case ast.BinOp(op=ast.Add()):
            left, right = _text_of(node.left), _text_of(node.right)
            return (left or _GAP) + (right or _GAP) if left or right else ""
        case _:
            return ""


def _with_gaps(node: ast.JoinedStr) -> str:
    return "".join(str(part.value) if isinstance(part, ast.Constant) else _GAP for part in node.values)


def merged(texts: Iterable[str | tuple[str, str]], known: Iterable[Catalog]) -> Catalog:
    """Return a catalogue of exactly these texts, with the translations that are known; the first one counts."""
    made = Catalog(locale="id", project="OTP-Pi", fuzzy=False, charset="utf-8")
    made.header_comment = "# Indonesian texts of the admin pages; written by make words."
    catalogues = tuple(known)
    for text in texts:
        identity = text if isinstance(text, str) else text[0]
        found = (one.get(identity) for one in catalogues)
        known_texts = (_first(one.string) for one in found if one is not None)
        translation = next((one for one in known_texts if one), "")
        made.add(text, (translation,) * made.num_plurals if isinstance(text, tuple) else translation)
    return made


def read(path: Path) -> Catalog:
    """Read a .po file; an empty catalogue if there is none."""
    if not path.exists():
        return Catalog(locale="id")
    with path.open("rb") as file:
        return read_po(file, locale="id")


def missing(catalogue: Catalog) -> list[str]:
    """Return the texts that have no translation."""
    return [str(one.id) for one in catalogue if one.id and not _first(one.string)]


def _first(translation: object) -> str:
    return str(translation[0]) if isinstance(translation, tuple | list) else str(translation or "")


def po_text(catalogue: Catalog) -> bytes:
    """Return the catalogue as a .po file that is the same for the same texts."""
    with io.BytesIO() as file:
        write_po(file, catalogue, width=118, no_location=True, omit_header=False, sort_output=True)
        lines = file.getvalue().splitlines(keepends=True)
    # Dates would make every run a change.
    return b"".join(line for line in lines if not line.startswith((b'"POT-Creation', b'"PO-Revision')))


def mo_bytes(catalogue: Catalog) -> bytes:
    """Return the catalogue as `otppi.web.words` reads it, the same for the same texts."""
    catalogue.creation_date = catalogue.revision_date = _NO_DATE
    with io.BytesIO() as file:
        write_mo(file, catalogue)
        return file.getvalue()


def main(arguments: list[str]) -> int:
    """See the head of the file."""
    taken = [read(Path(name)) for name in arguments[1:]] if arguments[:1] == ["--take"] else []
    catalogue = merged(gathered(), [read(PO), *taken])
    lacking = missing(catalogue)
    if arguments[:1] == ["--check"]:
        is_stale = not PO.exists() or PO.read_bytes() != po_text(catalogue) or not MO.exists()
        if is_stale or lacking:
            print(*(f"not translated: {text}" for text in lacking), sep="\n")  # noqa: T201
            print("the catalogues are not fresh: make words" if is_stale else "")  # noqa: T201
        return int(is_stale or bool(lacking))
    FOLDER.mkdir(parents=True, exist_ok=True)
    PO.write_bytes(po_text(catalogue))
    MO.write_bytes(mo_bytes(read(PO)))
    print(*(f"not translated: {text}" for text in lacking), sep="\n", end="\n" if lacking else "")  # noqa: T201
    print(f"{len(list(catalogue)) - 1} texts, {len(lacking)} not translated")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

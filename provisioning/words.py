"""Gathers every text of the pages for its translation, and makes the catalogues: `make words`.

    python -m provisioning.words            gather, merge with what is translated, write .po and .mo
    python -m provisioning.words --check    say what is missing or stale, and change nothing
    python -m provisioning.words --take F…  take translations from other .po files as well

Three kinds of text are gathered: those of templates and pages, marked by `_(…)`, `words(…)`, `many(…)` and `N_(…)`; the
declarations of settings; and sentences of lower layers, found where they are made: reasons of errors, findings and
advice of checks, names of states. A sentence with values in it is kept with `{}` in their place, as
`otppi.web.words.Words.said` reads it.
"""

import ast
import io
import sys
from collections.abc import Iterable, Iterator
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
# Where lower layers make sentences that people read. Layers of the command line and of tests are no such place.
_PACKAGES = ("model", "settings", "gateway", "modems", "system", "services", "wsgi", "lib")
_LEFT_OUT = (
    *(
        "brochure",
        "cli",
        "commands.py",
        "demo.py",
        "docs.py",
        "doctor.py",
        "first_boot",
        "metrics",
        "modem_doctor",
    ),
    *("personalise", "personality", "preset", "recording", "redaction"),
)
# What these say first is the name of a field or of a reason, and not for people.
_NAMED_FIRST = frozenset({"BadRequest", "HostRefused"})
_LEAST_LETTERS = 3
# Calls whose texts are shown: every class of errors (by its name), and these.
_CALLS = frozenset(
    {
        "Check",
        "_check",
        "_check_ready",
        "_green",
        "_last",
        "_red",
        "NotAccepted",
        "Verdict",
        "Finding",
        "said_below",
    }
)
_ARGUMENTS = frozenset(
    {"finding", "advice", "reason", "shape", "item_shape", "title", "help", "unit", "state"}
)
_SHOWN_ENUMS = frozenset({"ModemState", "Registration", "Outcome", "ReportOutcome", "Level", "Role"})
_GAP = "{}"


def gathered() -> dict[str | tuple[str, str], None]:
    """Return every text once, in a stable order; plural ones as pairs."""
    found: dict[str | tuple[str, str], None] = {}
    below = (text for text in _of_lower_layers() if _has_words(text))
    for text in (*_of_pages(), *_of_settings(), *below):
        if text:
            found.setdefault(text)
    return found


def _has_words(text: str) -> bool:
    return sum(letter.isalpha() for letter in text) >= _LEAST_LETTERS


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
            if not any(path.name.startswith(name) for name in _LEFT_OUT):
                yield from _shown_in(ast.parse(path.read_text("utf-8")))


def _shown_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_shown(node):
            shown = node.args[1:] if _name_of(node) in _NAMED_FIRST else node.args
            for value in (*shown, *(one.value for one in node.keywords)):
                yield from _sentences(value)
        elif isinstance(node, ast.keyword) and node.arg in _ARGUMENTS:
            yield from _sentences(node.value)
        elif isinstance(node, ast.ClassDef) and node.name in _SHOWN_ENUMS:
            yield from (
                one.value.value
                for one in node.body
                if isinstance(one, ast.Assign)
                and isinstance(one.value, ast.Constant)
                and isinstance(one.value.value, str)
            )
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from _of_assignment(node)
        elif isinstance(node, ast.Return) and node.value is not None:
            yield from (text for text in _sentences(node.value) if " " in text)


def _of_assignment(node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    """Sentences that are given a name before they are shown."""
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    name = (
        target.id
        if isinstance(target, ast.Name)
        else target.attr
        if isinstance(target, ast.Attribute)
        else ""
    )
    if node.value is not None and name.strip("_").lower().endswith(
        (
            "reason",
            "advice",
            "finding",
            "text",
            "offer",
            "person",
            "refusal",
            "words",
            "problem",
            "trouble",
            "remedy",
        )
    ):
        yield from (text for text in _sentences(node.value) if " " in text)


def _name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else str(getattr(call.func, "attr", ""))


def _is_shown(call: ast.Call) -> bool:
    name = _name_of(call)
    if name == "__init__" and isinstance(call.func, ast.Attribute):
        return isinstance(call.func.value, ast.Call) and getattr(call.func.value.func, "id", "") == "super"
    return name in _CALLS or (name in _ERROR_CLASSES)


def _error_classes() -> frozenset[str]:
    """Every class of the errors' tree, by reading it."""
    tree = ast.parse((PACKAGE / "model" / "errors.py").read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


_ERROR_CLASSES = _error_classes()


def _sentences(node: ast.expr) -> Iterator[str]:
    """The texts of an expression: constants, f-strings with gaps, and those of the parts that may become its value."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr():
            yield _with_gaps(node)
            inner = (one.value for one in node.values if isinstance(one, ast.FormattedValue))
            yield from (text for one in inner for text in _sentences(one) if " " in text)
        case ast.BinOp(op=ast.Add()):
            yield _joined(node)
        case _:
            for one in _parts_of(node):
                yield from _sentences(one)


def _parts_of(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.IfExp():
            return [node.body, node.orelse]
        case ast.Dict() | ast.BoolOp():
            return list(node.values)
        case ast.Tuple() | ast.List():
            return list(node.elts)
        case _:
            return []


def _with_gaps(node: ast.JoinedStr) -> str:
    return "".join(str(part.value) if isinstance(part, ast.Constant) else _GAP for part in node.values)


def _joined(node: ast.expr) -> str:
    match node:
        case ast.BinOp(op=ast.Add()):
            return _joined(node.left) + _joined(node.right)
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return _with_gaps(node)
        case _:
            return _GAP


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
    """Return the catalogue as browsers of words read it."""
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

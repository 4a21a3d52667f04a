"""The words of the pages, in the language of whoever reads them."""

import gettext
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from babel import Locale, dates, numbers
from babel.units import format_unit

from otppi.gateway.accounts import LANGUAGES

_LOCALE_DIR = Path(__file__).with_name("locale")
_DOMAIN = "otppi"
_GAP = "{}"
_REMEMBERED = 4096
_LONGEST_SAID = 500
_MARKED = "xx"  # a language for tests: every translated text is between marks


@dataclass(frozen=True)
class _Template:
    """A sentence of a lower layer with gaps, such as `must have at least {} characters`."""

    pattern: re.Pattern[str]
    translation: str


class Words:
    """Texts, numbers and times in one language and time zone; may be used from any thread.

    Called with an English text it gives the translation, into which values are put by name.
    """

    def __init__(self, language: str, zone: Callable[[], tzinfo]) -> None:
        """Take a language of `LANGUAGES` and what says which time zone the device shows."""
        self.language = language
        self._zone = zone
        self._locale = Locale(language if language in LANGUAGES else "en")
        self._catalogue = _catalogue(language)
        self._templates = _templates(language)
        self._remembered = lru_cache(_REMEMBERED)(self._said)

    def __call__(self, text: str, /, **values: object) -> str:
        """Translate a text of the pages."""
        translated = self._catalogue.gettext(text)
        return translated.format(**values) if values else translated

    def many(self, one: str, several: str, count: int, **values: object) -> str:
        """Translate a text that goes by a number; `{count}` is put in as well."""
        return self._catalogue.ngettext(one, several, count).format(count=self.number(count), **values)

    def said(self, text: str) -> str:
        """Translate a finished English sentence of a lower layer; what is not known stays as it is.

        So does a very long one, as the search for what stands in its gaps costs the square of its length.
        """
        return self._remembered(text) if 0 < len(text) <= _LONGEST_SAID else text

    def _said(self, text: str) -> str:
        translated = self._catalogue.gettext(text)
        if translated != text:
            return translated
        for template in self._templates:
            if match := template.pattern.fullmatch(text):
                gaps = [self._said(gap) if len(gap) < len(text) else gap for gap in match.groups()]
                return template.translation.format(*gaps)
        # What a server or a library said stands behind a finding of ours, and that behind the name of a host.
        finding, colon, behind = text.partition(": ")
        if not colon or not finding:
            return text
        known = self._catalogue.gettext(finding)
        if known == finding and " " in finding:
            return text
        return f"{known}: {self._said(behind)}"

    def number(self, value: float, digits: int | None = None) -> str:
        """Write a number; with `digits` after the comma."""
        if digits is None:
            return str(numbers.format_decimal(value, locale=self._locale))
        return str(numbers.format_decimal(value, format=f"#,##0.{'0' * digits}", locale=self._locale))

    def percent(self, share: float) -> str:
        """Write a share of 1 as whole per cent."""
        return str(numbers.format_percent(share, locale=self._locale))

    def money(self, amount: float | str | Decimal, currency: str) -> str:
        """Write an amount; whole rupiah have no decimals."""
        value = Decimal(str(amount))
        digits = value == value.to_integral_value()
        form = "¤#,##0" if digits else None
        return str(
            numbers.format_currency(
                value, currency, format=form, locale=self._locale, currency_digits=not digits
            )
        )

    def moment(self, at: float | str | datetime | None) -> str:
        """Write date and time of seconds since the epoch or an ISO text, in the zone of the device."""
        when = self._local(at)
        return "" if when is None else str(dates.format_datetime(when, "medium", locale=self._locale))

    def day(self, at: float | str | datetime | None) -> str:
        """Write the date alone."""
        when = self._local(at)
        return "" if when is None else str(dates.format_date(when, "medium", locale=self._locale))

    def month(self, year_and_month: str) -> str:
        """Write a month that is given as 2026-11."""
        return str(
            dates.format_skeleton("yMMMM", date.fromisoformat(f"{year_and_month}-01"), locale=self._locale)
        )

    def clock(self, at: float | str | datetime | None) -> str:
        """Write the time of day alone."""
        when = self._local(at)
        return "" if when is None else str(dates.format_time(when, "medium", locale=self._locale))

    def minute(self, at: float | str | datetime | None) -> str:
        """Write the time of day without seconds."""
        when = self._local(at)
        return "" if when is None else str(dates.format_time(when, "short", locale=self._locale))

    def short_day(self, at: float | str | datetime | None) -> str:
        """Write the day and the month alone."""
        when = self._local(at)
        return "" if when is None else str(dates.format_skeleton("MMMd", when, locale=self._locale))

    def duration(self, seconds: float) -> str:
        """Write a length of time in its largest fitting unit."""
        return str(dates.format_timedelta(timedelta(seconds=seconds), threshold=1.5, locale=self._locale))

    def size(self, size_bytes: float) -> str:
        """Write a number of bytes in units of 1000."""
        for unit in ("byte", "kilobyte", "megabyte"):
            if size_bytes < 1000:
                return self._unit(size_bytes, unit)
            size_bytes /= 1000
        return self._unit(size_bytes, "gigabyte")

    def _unit(self, value: float, unit: str) -> str:
        rounded = round(value, 1) if value < 10 else round(value)
        return str(format_unit(rounded, f"digital-{unit}", length="short", locale=self._locale))

    def _local(self, at: float | str | datetime | None) -> datetime | None:
        if at is None or at == "":
            return None
        if isinstance(at, str):
            at = datetime.fromisoformat(at)
        if isinstance(at, datetime):
            return at if at.tzinfo is None else at.astimezone(self._zone())
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone())


def N_(text: str) -> str:
    """Mark a text for the catalogues that is translated elsewhere."""
    return text


@lru_cache
def words_for(language: str, zone: Callable[[], tzinfo] = lambda: UTC) -> Words:
    """Return the words of a language; English for one that is not known."""
    return Words(language if language in (*LANGUAGES, _MARKED) else "en", zone)


def language_of(accept_language: str) -> str:
    """Choose by an Accept-Language header (RFC 9110, 12.5.4); English if none of ours is wanted."""
    wanted: list[tuple[float, int, str]] = []
    for place, one in enumerate(accept_language.split(",")[:20]):
        tag, _, weight = one.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        # `in` is what old Java and Android call Indonesian.
        primary = tag.split("-")[0].strip().lower()
        wanted.append((-quality, place, {"in": "id"}.get(primary, primary)))
    return next((tag for quality, _, tag in sorted(wanted) if tag in LANGUAGES and quality < 0), "en")


@lru_cache
def _catalogue(language: str) -> gettext.NullTranslations:
    if language == _MARKED:
        return _Marked()
    return gettext.translation(_DOMAIN, _LOCALE_DIR, [language], fallback=True)


@lru_cache
def _templates(language: str) -> tuple[_Template, ...]:
    known = _entries(_catalogue("id" if language == _MARKED else language))
    if language == _MARKED:
        known = [(text, f"⟦{text}⟧") for text, _ in known]
    found = [(text, translation) for text, translation in known if _GAP in text]
    # The one that says most fits best.
    found.sort(key=lambda pair: -len(pair[0].replace(_GAP, "")))
    return tuple(_Template(_pattern(text), translation) for text, translation in found)


def _entries(catalogue: gettext.NullTranslations) -> Iterable[tuple[str, str]]:
    known: Mapping[object, str] = getattr(catalogue, "_catalog", {})
    return ((text, translation) for text, translation in known.items() if isinstance(text, str) and text)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(part) for part in text.split(_GAP)), re.DOTALL)


class _Marked(gettext.NullTranslations):
    """Puts marks around whatever the Indonesian catalogue knows, so that a test sees what was never translated."""

    def gettext(self, message: str) -> str:
        known = dict(_entries(_catalogue("id")))
        return f"⟦{message}⟧" if message in known else message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        text = msgid1 if n == 1 else msgid2
        # Texts that go by a number are kept under the first of them and the number of their form.
        known: Mapping[object, str] = getattr(_catalogue("id"), "_catalog", {})
        return f"⟦{text}⟧" if (msgid1, 0) in known else text

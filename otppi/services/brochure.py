"""The owner's brochure: how to join the device and open its pages, as page, picture, text and on the screen."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import segno

from otppi.lib.atomicfile import write_atomically

HTML: Final = "otppi-brochure.html"
TEXT: Final = "otppi-brochure.txt"
WIFI_PICTURE: Final = "otppi-wifi.png"
PAGE_PICTURE: Final = "otppi-page.png"
FILES: Final = (HTML, TEXT, WIFI_PICTURE, PAGE_PICTURE)
_PICTURE_SCALE = 10


@dataclass(frozen=True, kw_only=True)
class Brochure:
    """What is told; an empty secret is one that the owner has chosen and that is not repeated here."""

    ssid: str
    passphrase: str = field(repr=False)
    setup_secret: str = field(repr=False)
    page: str  # the address of the pages on the access point
    local_page: str  # the same by the name of the device, in every network
    present_ssid: str = ""  # where the Wi-Fi was changed since the device was born
    name: str = ""  # what whoever prepares many cards calls this one
    findings: tuple[str, ...] = ()  # what the owner must know, in English


class _Words(NamedTuple):
    title: str
    join: str
    scan_join: str
    network: str
    passphrase: str
    chosen: str
    open: str
    scan_open: str
    elsewhere: str
    setup_secret: str
    setup_use: str
    changed: str
    warning: str
    findings: str


_WORDS: Mapping[str, _Words] = MappingProxyType(
    {
        "en": _Words(
            title="OTP-Pi: first steps",
            join="1. Join the Wi-Fi of the device",
            scan_join="Scan with the camera of a phone, or choose the network by hand.",
            network="Network",
            passphrase="Passphrase",  # noqa: S106 - a caption
            chosen="the one that you have chosen; it is not kept on the card",
            open="2. Open the page of the device",
            scan_open="Then scan this, or type the address into a browser.",
            elsewhere="From the office network",
            setup_secret="Set-up secret",  # noqa: S106 - a caption
            setup_use="Asked when the first administrator comes by another network than the Wi-Fi of the device.",
            changed="The Wi-Fi was changed since; it is now called {}. What is printed here holds again after a "
            "reset of the access point.",
            warning="Whoever has this sheet or the memory card of the device has the passphrase. Keep both safe.",
            findings="Please look at this",
        ),
        "id": _Words(
            title="OTP-Pi: langkah pertama",
            join="1. Sambungkan ke Wi-Fi perangkat",
            scan_join="Pindai dengan kamera ponsel, atau pilih jaringan secara manual.",
            network="Jaringan",
            passphrase="Frasa sandi",  # noqa: S106 - a caption
            chosen="yang Anda pilih sendiri; tidak disimpan di kartu",
            open="2. Buka halaman perangkat",
            scan_open="Lalu pindai ini, atau ketik alamatnya di peramban.",
            elsewhere="Dari jaringan kantor",
            setup_secret="Rahasia penyiapan",  # noqa: S106 - a caption
            setup_use="Diminta bila administrator pertama datang melalui jaringan selain Wi-Fi perangkat.",
            changed="Wi-Fi telah diubah; namanya sekarang {}. Yang tercetak di sini berlaku lagi setelah titik "
            "akses direset.",
            warning="Siapa pun yang memegang lembar ini atau kartu memori perangkat memiliki frasa sandinya. "
            "Simpan keduanya dengan aman.",
            findings="Mohon diperhatikan",
        ),
    }
)
_STYLE = """\
body{font:1rem/1.45 system-ui,sans-serif;margin:0;background:#fff;color:#111}
article{max-width:46rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:.2rem 0}
section{display:flex;flex-wrap:wrap;gap:1rem;align-items:center;border-top:1px solid #999;padding:.8rem 0}
section>div{flex:1 1 16rem}svg{width:11rem;height:11rem;flex:none}
code{font:700 1.1rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
[lang=id]{color:#444;font-style:italic}.warning{border:2px solid #111;padding:.6rem}
@page{size:A4;margin:15mm}@media print{article{break-after:page}article:last-child{break-after:auto}}
"""


def wifi(ssid: str, passphrase: str) -> str:
    """Return the text of a QR code that joins a Wi-Fi; phones know it as the format of ZXing."""
    return f"WIFI:T:WPA;S:{_wifi_escaped(ssid)};P:{_wifi_escaped(passphrase)};;"


def html(*brochures: Brochure) -> str:
    """Return a page that needs nothing else, a sheet of A4 for each device, in English and Indonesian."""
    sheets = "".join("".join(_sheet(one)) for one in brochures)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_WORDS['en'].title}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n{sheets}</body>\n</html>\n"
    )


def text(brochure: Brochure) -> str:
    """Return the same for whoever has no browser."""
    return "\n".join(line for words in _WORDS.values() for line in _text(brochure, words))


def issue(brochure: Brochure) -> str:
    """Return what the login prompt of the screen shows above itself, with the QR code that joins the Wi-Fi."""
    words = _WORDS["en"]
    lines = [*_text(brochure, words)]
    if brochure.passphrase:
        lines += _blocks(wifi(brochure.ssid, brochure.passphrase))
    # agetty(8) replaces what follows a backslash.
    return "\n".join((*lines, "")).replace("\\", "\\\\")


def plain_issue(lines: tuple[str, ...]) -> str:
    """Return what the screen shows where there is no brochure."""
    return "\n".join(("OTP-Pi", *lines, "")).replace("\\", "\\\\") + "\n"


def files(brochure: Brochure) -> dict[str, bytes]:
    """Return the files for the boot partition by name; the same for the same device."""
    made = {
        HTML: html(brochure).encode(),
        # Editors of Windows take a text for what they are used to unless it says so.
        TEXT: text(brochure).replace("\n", "\r\n").encode("utf-8-sig"),
        PAGE_PICTURE: _png(brochure.page),
    }
    if brochure.passphrase:
        made[WIFI_PICTURE] = _png(wifi(brochure.ssid, brochure.passphrase))
    return made


def write(folder: Path, brochure: Brochure) -> tuple[str, ...]:
    """Write what is not there as it should be; returns the names of what was written.

    Raises:
        OSError: The card is full or cannot be written.
    """
    wanted = files(brochure)
    for name in FILES:
        if name not in wanted:
            (folder / name).unlink(missing_ok=True)
    changed = tuple(name for name, data in wanted.items() if not _is(folder / name, data))
    for name in changed:
        write_atomically(folder / name, wanted[name])
    return changed


def _is(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def _wifi_escaped(value: str) -> str:
    return "".join(f"\\{letter}" if letter in '\\;,:"' else letter for letter in value)


def _code(content: str) -> segno.QRCode:
    # Without a mark for UTF-8 readers guess, and a single accent is taken for Chinese by some.
    if content.isascii():
        return segno.make_qr(content, error="m")
    return segno.make_qr(content, error="m", encoding="utf-8", eci=True)


def _png(content: str) -> bytes:
    picture = io.BytesIO()
    _code(content).save(picture, kind="png", scale=_PICTURE_SCALE)
    return picture.getvalue()


def _svg(content: str, title: str) -> str:
    return _code(content).svg_inline(scale=4, omitsize=True, light="#fff", title=title)


def _sheet(brochure: Brochure) -> Iterator[str]:
    en = _WORDS["en"]
    name = f" ({escape(brochure.name)})" if brochure.name else ""
    yield f"<article>\n<h1>{en.title}{name}</h1>\n"
    for line in brochure.findings:
        yield f"<p><b>{escape(line)}</b></p>\n"
    yield "<section>\n"
    if brochure.passphrase:
        yield _svg(wifi(brochure.ssid, brochure.passphrase), en.join) + "\n"
    yield "<div>\n"
    yield _both("h2", "join") + _both("p", "scan_join")
    yield _field("network", brochure.ssid) + _secret("passphrase", brochure.passphrase)
    if brochure.present_ssid:
        yield _both("p", "changed", brochure.present_ssid)
    yield "</div>\n</section>\n<section>\n" + _svg(brochure.page, en.open) + "\n<div>\n"
    yield _both("h2", "open") + _both("p", "scan_open") + f"<p><code>{escape(brochure.page)}</code></p>\n"
    yield _field("elsewhere", brochure.local_page)
    yield "</div>\n</section>\n<section>\n<div>\n"
    yield _secret("setup_secret", brochure.setup_secret) + _both("p", "setup_use")
    yield '</div>\n</section>\n<div class="warning">\n' + _both("p", "warning") + "</div>\n</article>\n"


def _both(tag: str, word: str, *values: str) -> str:
    return "".join(
        f'<{tag} lang="{language}">{escape(getattr(words, word).format(*values))}</{tag}>\n'
        for language, words in _WORDS.items()
    )


def _field(word: str, value: str) -> str:
    return f"<p>{_caption(word)}<br><code>{escape(value)}</code></p>\n"


def _secret(word: str, value: str) -> str:
    return _field(word, value) if value else f"<p>{_caption(word)}</p>\n" + _both("p", "chosen")


def _caption(word: str) -> str:
    en, indonesian = (getattr(words, word) for words in _WORDS.values())
    return f'{escape(en)} / <span lang="id">{escape(indonesian)}</span>'


def _text(brochure: Brochure, words: _Words) -> Iterator[str]:
    yield words.title
    if brochure.findings:
        yield from ("", f"{words.findings}:", *brochure.findings)
    yield from ("", words.join)
    yield f"   {words.network}: {brochure.ssid}"
    yield f"   {words.passphrase}: {brochure.passphrase or words.chosen}"
    if brochure.present_ssid:
        yield f"   {words.changed.format(brochure.present_ssid)}"
    yield words.open
    yield f"   {brochure.page}"
    yield f"   {words.elsewhere}: {brochure.local_page}"
    yield f"{words.setup_secret}: {brochure.setup_secret or words.chosen}"
    yield f"   {words.setup_use}"
    yield from (words.warning, "")


def _blocks(content: str) -> Iterator[str]:
    """Yield a QR code in half blocks for a screen that is light on dark."""
    rows = [[not module for module in row] for row in _code(content).matrix_iter(border=2)]
    rows += [[False] * len(rows[0])] if len(rows) % 2 else []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        yield "".join(" ▄▀█"[2 * above + below] for above, below in zip(upper, lower, strict=True))

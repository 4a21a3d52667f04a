"""Files that belong to the program, as browsers take them."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import bottle

import otppi


def answer_file(path: Path, content_type: str, headers: Mapping[str, str]) -> bottle.HTTPResponse:
    """Answer the current request with a file, which is read while it is sent and never held as a whole.

    A file whose name ends in `.gz` goes out compressed to those who take that.
    """
    is_compressed = path.suffix == ".gz"
    goes_compressed = is_compressed and accepts_gzip(bottle.request.get_header("Accept-Encoding", ""))
    try:
        stat = path.stat()
    except FileNotFoundError:  # a program that is just being replaced
        return bottle.HTTPResponse(status=404, headers=headers)
    # Images of a release may give every file the same time, hence the version.
    etag = f'"{otppi.__version__}-{stat.st_mtime_ns:x}-{stat.st_size:x}{"-gzip" * goes_compressed}"'
    if has(etag):
        return not_modified(etag, headers)
    headers = {**headers, "ETag": etag, "Content-Type": content_type}
    if is_compressed:
        headers["Vary"] = "Accept-Encoding"
    if goes_compressed:
        headers["Content-Encoding"] = "gzip"
    body: BinaryIO | gzip.GzipFile
    if is_compressed and not goes_compressed:
        body = gzip.open(path)  # noqa: SIM115 - the server closes what it has sent
    else:
        body = path.open("rb")
        headers["Content-Length"] = str(stat.st_size)
    return bottle.HTTPResponse(body, headers=headers)


def has(etag: str) -> bool:
    """Whether the client already has this version (RFC 9110, 13.1.2)."""
    known = bottle.request.get_header("If-None-Match", "").split(",")
    return etag in {one.strip().removeprefix("W/") for one in known}


def not_modified(etag: str, headers: Mapping[str, str]) -> bottle.HTTPResponse:
    """Answer that the client's version is still right."""
    return bottle.HTTPResponse(status=304, headers={**headers, "ETag": etag})


def accepts_gzip(header: str) -> bool:
    """Read an Accept-Encoding header (RFC 9110, 12.5.3); a weight of 0 means no."""
    for one in header.lower().replace(" ", "").split(","):
        coding, _, weight = one.partition(";q=")
        if coding == "gzip":
            return not weight or bool(weight.strip("0."))
    return False

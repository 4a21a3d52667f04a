"""A browser of few words for the client's side: one request, with cookies that are kept in a file.

    browse.py JAR GET URL
    browse.py JAR POST URL NAME=VALUE...

The page's token goes along with a form. Prints JSON: status, location, text.
"""

import http.cookiejar
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

LIMIT_S = 30


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def main(jar: Path, method: str, url: str, *fields: str) -> None:
    """Ask once; the token of the last page is kept beside the cookies."""
    cookies = http.cookiejar.LWPCookieJar(str(jar))
    token = jar.with_suffix(".token")
    if jar.exists():
        cookies.load(ignore_discard=True)
    body = None
    if method == "POST":
        pairs = [tuple(one.split("=", 1)) for one in fields]
        if token.exists():
            pairs.append(("csrf", token.read_text()))
        body = urllib.parse.urlencode(pairs).encode()
    opener = urllib.request.build_opener(_Stay, urllib.request.HTTPCookieProcessor(cookies))
    request = urllib.request.Request(url, body, method=method)
    if method == "POST":
        request.add_header("Origin", "http://" + urllib.parse.urlsplit(url).netloc)
    try:
        answer = opener.open(request, timeout=LIMIT_S)
    except urllib.error.HTTPError as error:
        answer = error
    text = answer.read().decode("utf-8", "replace")
    cookies.save(ignore_discard=True)
    if found := re.search(r'<meta name="csrf" content="([^"]+)"', text):
        token.write_text(found[1])
    print(json.dumps({"status": answer.status, "location": answer.headers.get("Location", ""), "text": text}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

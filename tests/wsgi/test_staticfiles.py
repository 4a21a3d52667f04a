from http.client import HTTPConnection

import bottle

from otppi.wsgi.server import WebServer
from otppi.wsgi.staticfiles import answer_file


def test_a_file_that_is_gone_is_not_found_and_comes_back_with_its_program(tmp_path):
    app, path = bottle.Bottle(), tmp_path / "page.js"
    app.route("/page.js", "GET", lambda: answer_file(path, "text/javascript", {"Cache-Control": "no-cache"}))
    server = WebServer("test", app, "127.0.0.1", 0, threads=1, max_body_bytes=1000)
    server.start()

    def status() -> int:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        try:
            connection.request("GET", "/page.js")
            return connection.getresponse().status
        finally:
            connection.close()

    try:
        path.write_text("1")
        assert status() == 200
        path.unlink()
        assert status() == 404
        path.write_text("2")
        assert status() == 200
    finally:
        server.stop(2.0)

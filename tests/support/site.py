"""A small web server for tests."""

import http.server
import json
import threading
from collections.abc import Callable
from typing import Any, Self

Handler = http.server.BaseHTTPRequestHandler


class Site:
    """An HTTP server on loopback.

    `pages` maps a path to bytes, to (status, headers, body) or to what writes the answer itself; `on_post` answers every
    POST with JSON. `missing` is what any other path gets, by GET or HEAD.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.pages: dict[str, Any] = {}
        self.on_post: Callable[[str, Any], Any] = lambda path, body: {}
        self.missing: Any = (404, {}, b"no")
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Answer(Handler):
            def do_GET(self) -> None:  # noqa: N802
                site.asked.append((self.path, dict(self.headers)))
                page = site.pages.get(self.path, site.missing)
                if callable(page):
                    page(self)
                    return
                status, headers, body = page if isinstance(page, tuple) else (200, {}, page)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_HEAD(self) -> None:  # noqa: N802
                self.send_response(site.missing[0])
                self.end_headers()

            def do_POST(self) -> None:  # noqa: N802
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
                answer = json.dumps(site.on_post(self.path, body)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((host, 0), Answer)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def tokens(self) -> set[str | None]:
        return {headers.get("Authorization") for _, headers in self.asked}

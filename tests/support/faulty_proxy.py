"""A real HTTP proxy in front of a real Label Studio that can be slow, broken or refuse, as networks and operators are."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

HOP_BY_HOP = {"connection", "transfer-encoding", "content-encoding", "content-length", "host", "accept-encoding"}


class FaultyProxy:
    """Passes requests on, unless told otherwise.

    Attributes:
        status: answer every request with this status instead of passing it on; 0 passes on.
        delay: seconds to wait before each request.
        only: faults hit only paths that contain this text.
        hits: requests a fault has hit.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.status = 0
        self.delay = 0.0
        self.only = ""
        self.hits = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def failing(self, *, status: int = 0, delay: float = 0.0, only: str = "") -> Iterator[None]:
        self.status, self.delay, self.only, self.hits = status, delay, only, 0
        try:
            yield
        finally:
            self.status, self.delay, self.only = 0, 0.0, ""


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            hit = (proxy.status or proxy.delay) and proxy.only in self.path
            if hit:
                proxy.hits += 1
                time.sleep(proxy.delay)
            if hit and proxy.status:
                return self._answer(proxy.status, {}, b'{"detail": "broken on purpose"}')
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            answer = requests.request(
                self.command, proxy.target + self.path, headers=headers, data=body, allow_redirects=False, timeout=120
            )
            return self._answer(answer.status_code, dict(answer.headers), answer.content)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _forward  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            return

    return Handler

"""A requests adapter that lets a plain function answer."""

import io
import json
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter

Answer = Callable[[requests.PreparedRequest], Any]


class Answering(BaseAdapter):
    """Answers with what the function returns: (status, body), (status, body, headers), or JSON for a 200; keeps what was asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self.asked: list[requests.PreparedRequest] = []
        self.timeouts: list[Any] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **how: Any) -> requests.Response:
        self.asked.append(request)
        self.timeouts.append(how.get("timeout"))
        said = self._answer(request)
        status, body, *more = said if isinstance(said, tuple) else (200, said)
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, str(request.url)
        response.headers.update(more[0] if more else {})
        response.raw = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        return response

    def close(self) -> None:
        pass


def session_of(answer: Answer) -> tuple[requests.Session, Answering]:
    """A session in which the function answers every request."""
    session, adapter = requests.Session(), Answering(answer)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session, adapter

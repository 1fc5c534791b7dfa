"""The four verbs of Label Studio's API, from which every call of the client is made."""

from typing import Any

import requests

from labelloop.labelstudio.connection import Connection


class Verbs:
    """Asks one Label Studio.

    Every method raises `LabelStudioUnreachable` (no answer, a time-out, a 5xx), `LabelStudioDenied` (401, 403) or
    `LabelStudioRejected` (any other 4xx). Only GETs are tried again by themselves.

    Args:
        url: where it answers, with any path prefix.
        api_key: a personal access token (recommended) or a legacy token.
        timeout: seconds to wait for an answer.
        session: what sends the requests; by default one of its own.
    """

    def __init__(
        self, url: str, api_key: str, *, timeout: float = 30.0, session: requests.Session | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._connection = Connection(self.url, api_key, session or requests.Session(), timeout)

    def get(self, path: str, *, params: Any = None) -> Any:
        """GET `path`; the answer's JSON."""
        return self._connection.json("GET", path, params=params, timeout=self._timeout)

    def post(self, path: str, body: Any = None, *, params: Any = None, timeout: float | None = None) -> Any:
        """POST `body` as JSON; the answer's JSON."""
        return self._connection.json("POST", path, params=params, body=body, timeout=timeout or self._timeout)

    def patch(self, path: str, body: Any) -> Any:
        """PATCH `body` as JSON; the answer's JSON."""
        return self._connection.json("PATCH", path, body=body, timeout=self._timeout)

    def delete(self, path: str, body: Any = None, *, timeout: float | None = None) -> Any:
        """DELETE; the answer's JSON, None when it is empty."""
        return self._connection.json("DELETE", path, body=body, timeout=timeout or self._timeout)

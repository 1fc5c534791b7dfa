"""Hosts that do not answer: a few files wait for one, and of the rest it is said at once that it is away.

Without this, 50,000 files of a host that drops what it is sent would keep a worker for a day, and every round with it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import requests
import urllib3

from labelloop.errors import LabelStudioUnreachable, MediaUnavailable

SILENT_AFTER: Final = 8
"""Files in a row that a host did not deliver, after which it is away."""
SILENT_FOR: Final = 30.0
"""Seconds for which it is not asked then."""
NO_ANSWER: Final = (requests.RequestException, urllib3.exceptions.HTTPError, LabelStudioUnreachable)
"""What is raised where a host is gone, or has not said a word in time."""


class SilentHosts:
    """Counts for each host how often in a row it gave no answer. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._missed: dict[str, int] = {}
        self._until: dict[str, float] = {}

    @contextmanager
    def asking(self, host: str) -> Iterator[None]:
        """Around one request to a host.

        Raises:
            MediaUnavailable: it is away.
        """
        if time.monotonic() < self._until.get(host, 0.0):
            raise MediaUnavailable(f"{host} has not answered {SILENT_AFTER} times in a row and is asked again later.")
        try:
            yield
        except NO_ANSWER:
            self._miss(host)
            raise
        except BaseException:
            self._hear(host)
            raise
        self._hear(host)

    def _miss(self, host: str) -> None:
        with self._lock:
            self._missed[host] = self._missed.get(host, 0) + 1
            if self._missed[host] >= SILENT_AFTER:
                self._until[host] = time.monotonic() + SILENT_FOR

    def _hear(self, host: str) -> None:
        with self._lock:
            self._missed.pop(host, None)
            self._until.pop(host, None)

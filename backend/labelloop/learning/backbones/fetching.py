"""Weights that are not here yet: whether they can be had, in a time that does not hold up a round."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

PROBE_SECONDS: Final = 4.0
STALL_SECONDS: Final = 30.0


def is_offline(asked: bool) -> bool:
    """Whether downloads are off: by the spec, or by the switch that Hugging Face's libraries share."""
    return asked or os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in {"1", "true", "yes", "on"}


def reachable(url: str, seconds: float = PROBE_SECONDS) -> bool:
    """Whether the URL's host, or the proxy that stands before it, accepts a connection within `seconds`.

    A download tried blindly can hang for minutes where the network swallows packets or a name server does not answer.
    """
    target = urlsplit(os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or url)
    port = target.port or (80 if target.scheme == "http" else 443)
    accepted = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((target.hostname or "", port), timeout=seconds).close()
        except OSError:
            return
        accepted.set()

    # Looking a name up cannot be timed out, so it happens aside and is left behind when it takes too long.
    prober = threading.Thread(target=connect, daemon=True)
    prober.start()
    prober.join(seconds)
    return accepted.is_set()


@contextmanager
def stalls_end() -> Iterator[None]:
    """Give every new socket a time-out, for libraries that download without one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

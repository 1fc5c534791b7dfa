"""The two kinds of token Label Studio knows, and the header each makes of itself."""

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from labelloop.errors import TokenRefused

EARLY = 30.0
"""Seconds before its end at which an access token is renewed."""


class Token(Protocol):
    """Proves to Label Studio who asks."""

    def header(self) -> str:
        """The value of the `Authorization` header.

        Raises:
            LabelStudioError: no token can be had.
        """

    def renew(self, refused: str) -> bool:
        """Drop the header value that was refused; False when a new one would be the same."""


class LegacyToken:
    """A legacy token, sent as it is; Label Studio refuses it unless the organisation allows legacy tokens.

    Args:
        key: the token.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def header(self) -> str:
        """The token itself."""
        if not self._key:
            raise TokenRefused(
                "LABEL_STUDIO_API_KEY is not set; make a personal access token in Label Studio under Account & Settings."
            )
        return f"Token {self._key}"

    def renew(self, refused: str) -> bool:
        """Nothing to renew."""
        return False


class PersonalToken:
    """A personal access token: it buys access tokens that live for minutes. Safe to share between threads.

    Args:
        exchange: asks Label Studio for an access token; may raise `LabelStudioError`.
    """

    def __init__(self, exchange: Callable[[], str]) -> None:
        self._exchange = exchange
        self._lock = threading.Lock()
        self._header = ""
        self._until = 0.0

    def header(self) -> str:
        """An access token that is good for a while yet."""
        with self._lock:
            if not self._header or time.monotonic() >= self._until:
                access = self._exchange()
                self._header, self._until = f"Bearer {access}", time.monotonic() + lifetime(access) - EARLY
            return self._header

    def renew(self, refused: str) -> bool:
        """Forget the access token, unless another thread has replaced the one refused."""
        with self._lock:
            if self._header == refused:
                self._header = ""
            return True


def is_personal(key: str) -> bool:
    """Whether a key has the form of a personal access token, which is a JWT; a legacy token is 40 hexadecimal digits."""
    return _claims(key) is not None


def lifetime(access_token: str) -> float:
    """Seconds between issue and end of a JWT; 0 when it does not say. The clocks of two machines need not agree for this."""
    claims = _claims(access_token) or {}
    try:
        return float(claims["exp"]) - float(claims["iat"])
    except (KeyError, TypeError, ValueError):
        return 0.0


def _claims(token: str) -> dict[str, Any] | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None

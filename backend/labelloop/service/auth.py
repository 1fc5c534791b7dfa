"""Optional Basic authentication: Label Studio sends it with every call when the backend is registered with it."""

import base64
import binascii
import secrets

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

CHALLENGE = {"WWW-Authenticate": 'Basic realm="labelloop", charset="UTF-8"'}
REFUSAL = (
    "This server asks for Basic authentication: give the backend's user and password in Label Studio, "
    "or in its URL (http://user:password@host:port)."
)


def is_allowed(authorization: str | None, expected: SecretStr) -> bool:
    """Whether an `Authorization` header carries the expected `user:password`; True for every header when none is expected.

    The time it takes does not depend on how much of the password is right.
    """
    wanted = expected.get_secret_value()
    if not wanted:
        return True
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    # Browsers send UTF-8, `requests` (and so Label Studio) Latin-1 where that is possible.
    as_utf8 = secrets.compare_digest(given, wanted.encode())
    as_latin1 = secrets.compare_digest(given.decode("latin-1").encode(), wanted.encode())
    return as_utf8 or as_latin1


class BasicAuth:
    """ASGI middleware that answers 401 to whoever does not know the password.

    Args:
        app: what is protected, every route of it.
        expected: `user:password`; empty lets everybody in.
    """

    def __init__(self, app: ASGIApp, expected: SecretStr) -> None:
        self._app = app
        self._expected = expected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "http" and not is_allowed(Headers(scope=scope).get("authorization"), self._expected):
            await JSONResponse({"detail": REFUSAL}, 401, CHALLENGE)(scope, receive, send)
            return
        await self._app(scope, receive, send)

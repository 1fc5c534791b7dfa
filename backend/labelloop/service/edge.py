"""What every HTTP request passes through: a limit on its size, and one line in the log."""

import logging
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

MAX_BODY = 250 * 1024**2
"""As much as Label Studio itself accepts in one import; a /predict for thousands of tasks with their annotations is smaller."""
TOO_LARGE = f"The request is larger than {MAX_BODY // 1024**2} MB; send fewer tasks at once."
QUIET_PATHS = frozenset({"/health", "/"})


class BodyLimit:
    """ASGI middleware that answers 413 to a body over the limit, whether or not its length was announced.

    Args:
        app: what is protected.
        limit: bytes.
    """

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on while counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > self._limit:
            await JSONResponse({"detail": TOO_LARGE}, 413)(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise HTTPException(413, TOO_LARGE)
            return message

        return counted


class RequestLog:
    """ASGI middleware that logs method, path, status and duration; never a header, a query or a body, where secrets travel.

    Args:
        app: what is watched.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then say how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            quiet = scope["path"] in QUIET_PATHS and status < 400
            took = 1000 * (time.perf_counter() - started)
            level = logging.DEBUG if quiet else logging.INFO
            logger.log(level, "%s %s %d in %.1f ms", scope["method"], ascii(scope["path"])[1:-1], status, took)

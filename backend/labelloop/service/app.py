"""The HTTP server: Label Studio's ML backend API, and no more than that, on FastAPI.

/health and /setup answer from memory on the event loop itself. /predict and /webhook each have threads of their own, so that
predictions that wait for media never hold up an annotator's submit.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol, Self, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from labelloop import __version__
from labelloop.errors import PayloadError
from labelloop.service.auth import BasicAuth
from labelloop.service.bodies import (
    EventAnswer,
    Fault,
    HealthAnswer,
    JobRequest,
    PredictAnswer,
    PredictRequest,
    ProjectRequest,
    SetupAnswer,
    SetupRequest,
    VersionsAnswer,
    describe_faults,
    printable,
)
from labelloop.service.context import Context
from labelloop.service.edge import BodyLimit, RequestLog
from labelloop.service.endpoint import HARMLESS, Endpoint

logger = logging.getLogger(__name__)

T = TypeVar("T")
PREDICT_THREADS = 8
WEBHOOK_THREADS = 8
WEBHOOK_LIMIT = 0.8
"""Seconds; Label Studio gives up, and the annotator has waited, after one."""
PREDICT_GRACE = 2.0
"""Seconds past the deadline after which a prediction is not waited for, whatever holds it up."""


class Hooks(Protocol):
    """What Label Studio's own SDK calls a model: one instance per request."""

    def __init__(self, project_id: str | None = None, label_config: str | None = None) -> None: ...

    @classmethod
    def bound_to(cls, endpoint: Endpoint) -> type[Self]:
        """The class, with an endpoint to answer from."""
        ...

    def predict(self, tasks: list[dict[str, Any]], context: dict[str, Any] | None = None) -> list[Any]:
        """One item per task, in order."""
        ...

    def fit(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """What was done with an event."""
        ...


class Routes:
    """The routes and the threads they work in.

    Args:
        endpoint: answers what needs no model.
        hooks: answers predictions and events.
    """

    def __init__(self, endpoint: Endpoint, hooks: type[Hooks]) -> None:
        self._endpoint = endpoint
        self._hooks = hooks
        self._predicting = ThreadPoolExecutor(PREDICT_THREADS, "labelloop-predict")
        self._noting = ThreadPoolExecutor(WEBHOOK_THREADS, "labelloop-webhook")
        self._limit = endpoint.settings.predict_deadline + PREDICT_GRACE

    def stop(self) -> None:
        """Take no more work."""
        self._predicting.shutdown(wait=False, cancel_futures=True)
        self._noting.shutdown(wait=False, cancel_futures=True)

    def router(self) -> APIRouter:
        """All routes, each answering an object: Label Studio stumbles over any other JSON."""
        faults: dict[int | str, dict[str, Any]] = {
            400: {"model": Fault},
            401: {"model": Fault},
            413: {"model": Fault},
            422: {"model": Fault},
        }
        router = APIRouter(responses=faults)
        for path in ("/", "/health"):
            router.add_api_route(path, self.health, methods=["GET"], response_model=HealthAnswer)
        router.add_api_route("/setup", self.setup, methods=["POST"], response_model=SetupAnswer)
        router.add_api_route("/predict", self.predict, methods=["POST"], response_model=PredictAnswer)
        router.add_api_route("/webhook", self.webhook, methods=["POST"], response_model=EventAnswer)
        router.add_api_route("/train", self.train, methods=["POST"], response_model=EventAnswer)
        router.add_api_route("/versions", self.all_versions, methods=["GET"], response_model=VersionsAnswer)
        router.add_api_route("/versions", self.versions, methods=["POST"], response_model=VersionsAnswer)
        router.add_api_route("/job_status", self.job_status, methods=["POST"])
        router.add_api_route("/metrics", self.metrics, methods=["GET"])
        for path, answer in HARMLESS.items():
            router.add_api_route(path, _constant(answer), methods=["POST"], response_model=EventAnswer, name=path[1:])
        return router

    async def health(self) -> dict[str, Any]:
        """Whether the server is up."""
        return self._endpoint.health()

    async def setup(self, body: SetupRequest) -> dict[str, Any]:
        """The version that predictions are stamped with."""
        return self._endpoint.setup(body.project, body.label_schema)

    async def predict(self, body: PredictRequest) -> JSONResponse:
        """Predict tasks: one item per task, in order."""
        hooks = self._hooks(project_id=body.project, label_config=body.label_config)
        work = self._in(self._predicting, lambda: hooks.predict(body.tasks, context=body.context), self._limit)
        try:
            results = await work
        except TimeoutError:
            count, project = len(body.tasks), str(body.project)
            logger.error(
                "A prediction of %d tasks of project %.40a was given up after %.0f s", count, project, self._limit
            )
            results = [[] for _ in body.tasks]
        return JSONResponse({"results": results})

    async def webhook(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take an event."""
        data = {name: value for name, value in body.items() if name != "action"}
        return await self._noted(lambda: self._hooks().fit(body.get("action", ""), data))

    async def train(self, body: ProjectRequest) -> dict[str, Any]:
        """Ask for a training."""
        return await self._noted(lambda: self._endpoint.train(body.project))

    async def job_status(self, body: JobRequest) -> dict[str, Any]:
        """What became of a training that was asked for."""
        return await self._noted(lambda: self._endpoint.job_status(body.job))

    async def all_versions(self) -> dict[str, Any]:
        """Published versions of all projects: Label Studio names none here."""
        return self._endpoint.versions()

    async def versions(self, body: ProjectRequest) -> dict[str, Any]:
        """Published versions of a project."""
        return self._endpoint.versions(body.project)

    async def metrics(self) -> dict[str, Any]:
        """What is live."""
        return self._endpoint.metrics()

    async def _noted(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return await self._in(self._noting, work, WEBHOOK_LIMIT)
        except TimeoutError:
            logger.error(
                "Redis took longer than %.1f s; the next reconciliation will find what has changed", WEBHOOK_LIMIT
            )
            return {
                "status": "not noted",
                "detail": "Redis is slow; the next reconciliation will find what has changed.",
            }

    @staticmethod
    async def _in(pool: ThreadPoolExecutor, work: Callable[[], T], limit: float) -> T:
        return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(pool, work), limit)


def create_app(context: Context, hooks_class: type[Hooks]) -> FastAPI:
    """The server.

    Args:
        context: settings and the doors to the store, Redis and Label Studio.
        hooks_class: answers predictions and events; `labelloop.hooks.LabelLoop`.
    """
    endpoint = Endpoint(context)
    routes = Routes(endpoint, hooks_class.bound_to(endpoint))

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(endpoint.start)
        try:
            yield
        finally:
            routes.stop()
            await asyncio.to_thread(endpoint.stop)

    app = FastAPI(
        title="Labelloop",
        version=__version__,
        summary="A Label Studio ML backend",
        lifespan=running,
        docs_url=None,  # its pages are blank where the host that they load their scripts from cannot be reached
        redoc_url=None,
    )
    app.include_router(routes.router())
    app.add_exception_handler(RequestValidationError, _refuse_body)
    app.add_exception_handler(PayloadError, _refuse_payload)
    app.add_exception_handler(Exception, _own_fault)
    app.add_middleware(BasicAuth, expected=context.settings.basic_auth)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestLog)
    return app


def _constant(detail: str) -> Callable[[dict[str, Any]], Awaitable[dict[str, str]]]:
    async def answer(body: dict[str, Any]) -> dict[str, str]:
        return {"status": "ignored", "detail": detail}

    return answer


async def _refuse_body(request: Request, error: Exception) -> JSONResponse:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    return JSONResponse({"detail": describe_faults(faults)}, 422)


async def _refuse_payload(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": printable(str(error))}, 400)


async def _own_fault(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": f"{type(error).__name__}: the server's log says more."}, 500)

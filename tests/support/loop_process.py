"""A whole Labelloop as its users run it: server and workers as processes of their own, on a store and a Redis of the test's."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from labelloop.cli.child import Child, Program
from labelloop.cli.ports import free_port
from labelloop.errors import LabelloopError
from labelloop.labelstudio import LabelStudio
from labelloop.service.connection import connect
from labelloop.service.context import Context, open_context
from labelloop.service.disconnection import disconnect
from labelloop.service.projects import Project
from labelloop.settings import load_settings
from support.redis_process import RedisProcess

BACKEND = Path(__file__).parents[2] / "backend"
QUICK = {
    "LABELLOOP_IMAGE_BACKBONE": "plain",
    "LABELLOOP_TEXT_BACKBONE": "plain",
    "LABELLOOP_TRAIN_AFTER": "6",
    "LABELLOOP_TRAIN_QUIET": "3",
    "LABELLOOP_RECONCILE_EVERY": "4",
    "LABELLOOP_PUSH_FIRST": "20",
    "LABELLOOP_PUSH_CHUNK": "40",
}


class LoopProcesses:
    """Servers and workers that share a store.

    Args:
        folder: the store and the logs.
        label_studio_url: the instance, or a proxy before it.
        api_key: a personal access token.
        redis_url: the wire.
        settings: environment variables beside the quick ones.
    """

    def __init__(
        self, folder: Path, label_studio_url: str, api_key: str, redis_url: str, settings: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.environment = {
            "LABEL_STUDIO_URL": label_studio_url,
            "LABEL_STUDIO_API_KEY": api_key,
            "REDIS_URL": redis_url,
            "LABELLOOP_DATA_DIR": str(folder),
            "LABELLOOP_PORT": str(self.port),
            **QUICK,
            **(settings or {}),
        }
        self.servers: list[Child] = []
        self.workers: list[Child] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def context(self) -> Context:
        """A context of the same settings in this process."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            return open_context(load_settings())
        finally:
            os.environ.clear()
            os.environ.update(before)

    def start(self, workers: int = 1) -> None:
        self.start_server()
        for _ in range(workers):
            self.start_worker()

    def start_server(self, port: int | None = None) -> Child:
        number = len(self.servers)
        server = self._child(f"server-{number}", ["serve", "--port", str(port or self.port)])
        self.servers.append(server)
        url = f"http://127.0.0.1:{port or self.port}/health"
        until(lambda: _answers(url), 30, lambda: f"the server answers\n{server.output()[-3000:]}")
        return server

    def start_worker(self, confined_by: str = "") -> Child:
        """Start a worker, in a shell of its own after what confines it has been done there."""
        shell = ["unshare", "--map-root-user", "--mount", "bash", "-c", f'{confined_by} && exec "$@"', "confined"]
        worker = self._child(f"worker-{len(self.workers)}", ["worker"], shell if confined_by else [])
        self.workers.append(worker)
        return worker

    def connect(self, project_id: int) -> Project:
        context = self.context()
        connect(context, project_id, self.url)
        project = context.projects.find(project_id)
        assert project is not None
        return project

    def disconnect_all(self) -> None:
        """Disconnect every project, so that its rounds do not delay those of the next."""
        context = self.context()
        for project in context.projects.all():
            disconnect(context, project.key.id)

    def stop(self) -> None:
        for child in [*self.servers, *self.workers]:
            child.stop(grace=5)

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-4000:]}" for path in sorted(self.folder.glob("*.log")))

    def _child(self, name: str, arguments: list[str], wrapper: Sequence[str] = ()) -> Child:
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(BACKEND)}
        command = [*wrapper, sys.executable, "-m", "labelloop.cli", *arguments]
        child = Child(Program(name, command, self.folder / f"{name}.log", environment))
        child.start()
        return child


def until(done: Callable[[], Any], seconds: float, what: Callable[[], str] | str, every: float = 0.1) -> Any:
    """Wait for something that other processes do; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = done()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"after {seconds} s still not: {what if isinstance(what, str) else what()}")


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


@contextmanager
def running_loop(folder: Path, studio: Any, settings: dict[str, str]) -> Iterator[LoopProcesses]:
    """One server and one worker for a Label Studio, on a Redis of their own."""
    redis = RedisProcess(folder / "redis")
    redis.start()
    processes = LoopProcesses(folder / "loop", studio.url, studio.api_key, redis.url, settings)
    processes.start()
    yield processes
    processes.stop()
    redis.stop()


def label_studio_of(studio: Any) -> LabelStudio:
    return LabelStudio(studio.url, studio.api_key)


def live_or_none(context: Context, project: Project) -> Any:
    try:
        return context.versions(project).live()
    except LabelloopError:
        return None

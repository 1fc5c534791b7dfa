"""A whole Labelloop for a measurement, in a directory of its own that goes away with it."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import typer

from labelloop.cli.ports import free_port
from labelloop.cli.stack import Stack
from labelloop.cli.supervisor import Supervisor
from labelloop.service.addresses import local_address
from labelloop.service.connection import connect
from labelloop.service.context import Context, open_context
from labelloop.service.versions import Version, Versions
from labelloop.settings import load_settings

STUDIO_VENV = Path(__file__).parents[2] / ".run" / "label-studio" / "venv"


@dataclass(frozen=True)
class Whole:
    """A running Labelloop.

    Attributes:
        context: its doors.
        browser: logged in to Label Studio.
        url: where the server listens.
        server_pid: the server's process id.
    """

    context: Context
    browser: requests.Session
    url: str
    server_pid: int

    def connect(self, project_id: int) -> Versions:
        """Connect a project; returns its versions."""
        connect(self.context, project_id, self.url)
        project = self.context.projects.find(project_id)
        assert project is not None
        return self.context.versions(project)

    def live_in_label_studio(self, project_id: int) -> str:
        """The version whose scores order the project's queue."""
        return str(self.context.label_studio.project(project_id)["model_version"] or "")

    def wait_pushed(self, project_id: int, version: str, timeout: float = 300) -> float:
        """Wait until Label Studio holds a version's score for every waiting task; returns the monotonic time at which it did."""

        def pushed() -> bool:
            project = self.context.label_studio.project(project_id)
            # One annotation a task here; Label Studio's count of annotated tasks leaves imported ones out.
            waiting = project["task_number"] - project["total_annotations_number"]
            return bool(self.context.label_studio.model_versions(project_id).get(version, 0) >= waiting)

        return wait_for(pushed, f"the whole push of {version}", timeout, every=0.2)


@contextmanager
def running() -> Iterator[Whole]:
    """Start everything, with one worker, on free ports, with the settings of the environment besides."""
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "REDIS_URL"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="labelloop-") as folder, Supervisor(typer.echo) as supervisor:
        os.environ.setdefault("LABELLOOP_TEXT_BACKBONE", "plain")  # embedding is not what is measured
        os.environ |= {"LABELLOOP_DATA_DIR": folder, "LABELLOOP_PORT": str(free_port())}
        home = Path(folder) / "label-studio"
        home.mkdir()
        STUDIO_VENV.parent.mkdir(parents=True, exist_ok=True)
        (home / "venv").symlink_to(STUDIO_VENV)
        stack = Stack(load_settings(), supervisor, lambda message: typer.echo(message, err=True))
        stack.start_redis()
        studio = stack.start_studio(free_port())
        settings = stack.start_backend(workers=1)
        yield Whole(open_context(settings), studio.browser(), local_address(settings), stack.server_pid)


def wait_for(holds: Callable[[], bool], what: str, timeout: float = 300, every: float = 0.05) -> float:
    """Wait until something holds; returns the monotonic time at which it was seen to.

    Raises:
        TimeoutError: it never did.
    """
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout:.0f} s in vain for {what}.")
        time.sleep(every)
    return time.monotonic()


def trained(versions: Versions) -> Version | None:
    """The live version, if it is a trained one."""
    live = versions.live()
    return live if live and live.stage == "trained" else None

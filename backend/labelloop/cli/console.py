"""What the commands about projects share: their options, which project is meant, and how results are shown."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelloop.errors import LabelloopError

if TYPE_CHECKING:
    from rich.progress import Progress

    from labelloop.service.asking import Standing
    from labelloop.service.context import Context
    from labelloop.service.projects import Project

NOTHING_TO_ORDER = "no task waits for a label, so there is nothing to order"
POLL = 0.2
WORKER_PATIENCE = 10.0
"""Seconds after which a job that nobody begins is worth a word."""

ProjectOption = Annotated[
    int | None,
    typer.Option(
        "--project",
        "-p",
        help="The project's id in Label Studio; may be left out when only one is connected.",
        min=1,
        metavar="ID",
    ),
]
SomeProjectsOption = Annotated[
    int | None,
    typer.Option(
        "--project",
        "-p",
        help="The project's id in Label Studio; all that are connected otherwise.",
        min=1,
        metavar="ID",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for a script to read.")]
WaitOption = Annotated[bool, typer.Option(help="Follow the work until it is done.")]


@contextmanager
def redis_needed() -> Iterator[None]:
    """Tell of a Redis that is away in a sentence.

    Raises:
        LabelloopError: Redis does not answer.
    """
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as error:
        raise LabelloopError(
            f"Redis does not answer ({str(error).rstrip('.')}); run `labelloop up`, or set REDIS_URL to one that runs."
        ) from error


@contextmanager
def opened() -> "Iterator[Context]":
    """The doors to the store, Redis and Label Studio.

    Raises:
        LabelloopError: Redis does not answer.
    """
    from labelloop.service.context import open_context

    told = logging.getLogger("labelloop")
    if told.level != logging.DEBUG:  # what these commands find they show themselves; --verbose shows each step
        told.setLevel(logging.WARNING)
    context = open_context()
    try:
        with redis_needed():
            yield context
    finally:
        if "redis" in vars(context):  # only if it was opened
            context.redis.close()


def chosen(context: "Context", project_id: int | None) -> "Project":
    """The connected project that is meant.

    Raises:
        LabelloopError: it is not connected, or none is named and there is not exactly one.
    """
    if project_id is not None:
        project = context.projects.find(project_id)
        if project is None:
            raise LabelloopError(
                f"Project {project_id} is not connected; run `labelloop connect --project {project_id} --backend-url URL`."
            )
        return project
    known = context.projects.all()
    if len(known) == 1:
        return known[0]
    if not known:
        raise LabelloopError("No project is connected; run `labelloop connect --project ID --backend-url URL`.")
    ids = ", ".join(str(project.key.id) for project in known)
    raise LabelloopError(f"{len(known)} projects are connected ({ids}); say which with --project.")


def print_json(value: Any) -> None:
    """Print a value of dataclasses and plain types as JSON."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode() + "\n")


def order_line(context: "Context", project: "Project") -> str:
    """What the last writing of scores has come to, in a sentence."""
    from labelloop.service.push_state import read_push

    pushed = read_push(context.store, project.folder)
    if pushed is None or not pushed.switched:
        return f"{NOTHING_TO_ORDER.capitalize()}."
    return f"The queue is ordered by [bold]{pushed.version}[/]."


def progress_bars() -> "Progress":
    """Bars on the error stream, which are gone when they are left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True, highlight=False), transient=True)


def follow(what: str, ask: "Callable[[], Standing]") -> None:
    """Show a progress bar on the error stream until the work has ended.

    Args:
        what: what is worked on.
        ask: tells how far it is.

    Raises:
        LabelloopError: the work failed.
    """
    with progress_bars() as bar:
        task = bar.add_task(what, total=None)
        started = time.monotonic()
        while not (standing := ask()).ended:
            if standing.progress:
                step = standing.progress
                bar.update(
                    task, description=f"{what}: {step['step']}", completed=step["done"], total=step["total"] or None
                )
            elif standing.waiting and time.monotonic() - started > WORKER_PATIENCE:
                bar.update(task, description=f"{what}: waiting for a worker (`labelloop worker` starts one)")
            time.sleep(POLL)
    if standing.error:
        raise LabelloopError(f"{what} failed: {standing.error}")

"""What a person asks a worker for, a training or the writing of scores, and how far it is."""

from dataclasses import dataclass
from typing import Any

from labelloop.errors import LabelloopError, VersionError
from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.queueing import enqueue_push, enqueue_round, job_state, push_id, round_id
from labelloop.service.state import PUSH, ROUND, read_progress, read_state
from labelloop.service.versions import Version
from labelloop.service.workers import listening_workers

_ALIVE = ("queued", "started")
"""What a job is that is still to be waited for; one that was killed too often stays for a while as what it is."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far what was asked for is.

    Attributes:
        ended: it is done, or has failed.
        waiting: no worker has begun it.
        progress: what a worker does now: step, done, total, since; None when it says nothing.
        error: why it failed; empty when it did not.
    """

    ended: bool
    waiting: bool
    progress: dict[str, Any] | None
    error: str = ""


def require_worker(context: Context) -> None:
    """Check that somebody is there to do what was asked for.

    Raises:
        LabelloopError: no worker listens.
        RedisError: Redis does not answer.
    """
    if not listening_workers(context.redis):
        raise LabelloopError(
            "It is queued, but no worker listens; run `labelloop up` or `labelloop worker`, which will do it."
        )


def ask_training(context: Context, project: Project) -> None:
    """Have a worker train the project, whatever has changed; after the round at hand if one runs.

    Raises:
        RedisError: Redis does not answer.
    """
    Marks(context.redis, project.slug).note(force=True)
    enqueue_round(context.redis, project.slug, context.settings, force=True)


def training_standing(context: Context, project: Project) -> Standing:
    """How far the training that `ask_training` asked for is; asks again when only an earlier round has ended."""
    job = job_state(context.redis, round_id(project.slug))
    wanted = Marks(context.redis, project.slug).training_wanted()
    if job in _ALIVE:
        return Standing(False, job == "queued", read_progress(context.redis, project.slug))
    if not wanted:
        return Standing(True, False, None)
    error = read_state(context.store, project.folder).error_of(ROUND)
    if error:
        return Standing(True, False, None, error)
    enqueue_round(context.redis, project.slug, context.settings, force=True)
    return Standing(False, True, None)


def ask_push(context: Context, project: Project) -> Version:
    """Have a worker compare the scores Label Studio has with the live version's, write what is missing and let them order the queue.

    Returns:
        The live version.

    Raises:
        VersionError: no version is live yet.
        RedisError: Redis does not answer.
    """
    live = context.versions(project).live()
    if live is None:
        raise VersionError(f"Project {project.key.id} has no version yet; `labelloop train` asks for one.")
    Marks(context.redis, project.slug).want_push(anew=True)
    enqueue_push(context.redis, project.slug, context.settings)
    return live


def push_standing(context: Context, project: Project) -> Standing:
    """How far the push that `ask_push` asked for is."""
    job = job_state(context.redis, push_id(project.slug))
    if job in _ALIVE:
        return Standing(False, job == "queued", read_progress(context.redis, project.slug))
    if Marks(context.redis, project.slug).push_wanted():
        return Standing(False, True, None)
    return Standing(True, False, None, read_state(context.store, project.folder).error_of(PUSH))

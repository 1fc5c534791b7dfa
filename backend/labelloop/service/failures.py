"""What jobs failed of: kept for `status`, and waited for before they are tried again."""

import logging
import time
from typing import Final

from redis.exceptions import RedisError
from rq.job import Job

from labelloop.errors import LabelloopError
from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.queueing import CRASH_RETRIES
from labelloop.service.state import (
    PUSH,
    ROUND,
    TUNING,
    ProjectState,
    back_off,
    failed,
    read_state,
    went_well,
    write_state,
)

logger = logging.getLogger(__name__)

_KINDS: Final = {"round": ROUND, "push": PUSH, "tuning": TUNING}
"""What the ids of jobs begin with."""
_KILLED: Final = (
    f"the worker was killed in the middle of it {CRASH_RETRIES + 1} times in a row. Perhaps it needs more memory than there is; "
    "give the worker more."
)


def forget(context: Context, project: Project, name: str) -> None:
    """What the job failed of before is over."""
    state = read_state(context.store, project.folder)
    if name in state.failing:
        write_state(context.store, project.folder, went_well(state, name))
        times = state.failing[name].times
        logger.info("Project %d: the %s goes well again; it had failed %d times in a row", project.key.id, name, times)
    if name == ROUND:
        Marks(context.redis, project.slug).release()


def remember(context: Context, project: Project, name: str, reason: str) -> None:
    """Keep the reason for `status`, and look again, not before, after a while that grows with each failure in a row."""
    state = failed(ProjectState(), name, reason)
    try:
        state = failed(read_state(context.store, project.folder), name, reason)
        write_state(context.store, project.folder, state)
    except LabelloopError as trouble:
        logger.error("Project %d: the reason could not be kept: %s", project.key.id, trouble)
    marks, wait = Marks(context.redis, project.slug), back_off(state.failing[name].times)
    marks.set_due(time.time() + wait)
    if name == ROUND:  # the hints that it kept would have the next one begin at once
        marks.hold(wait)


def remember_death(context: Context, job: Job) -> None:
    """Remember a job that was killed, and could tell nothing itself, once it has been as often as it is tried; raises nothing."""
    kind, _, slug = job.id.partition("-")
    if kind not in _KINDS or job.retries_left:
        return
    try:
        project = context.projects.get(slug)
        if project is not None:
            remember(context, project, _KINDS[kind], _KILLED)
    except (LabelloopError, RedisError) as trouble:
        logger.error("That %s was killed could not be kept: %s", job.id, trouble)

"""What workers run. Each job ends well even if its work fails: the reason goes to the project's state, and the clock tries again."""

import logging
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from labelloop.errors import LabelloopError
from labelloop.service.chores import tidy
from labelloop.service.context import Context, open_context
from labelloop.service.failures import forget, remember
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.publisher import push_part
from labelloop.service.push_state import forget_push
from labelloop.service.queueing import others_wait, rounds_wait
from labelloop.service.round import run_round
from labelloop.service.state import PUSH, ROUND, TUNING, clear_progress, progress_to
from labelloop.service.tuning import tune

logger = logging.getLogger(__name__)


def round_job(slug: str, force: bool = False) -> None:
    """One round of a project."""
    _guarded(slug, ROUND, lambda context, project: _round(context, project, force))


def push_job(slug: str) -> None:
    """A project's push and what is cleared up after it, or as much as is done before a round wants the worker or a job's time is up."""
    _guarded(slug, PUSH, _push)


def tuning_job(slug: str) -> None:
    """A project's fine-tuning, or as much as is done before something more urgent wants the worker."""
    _guarded(slug, TUNING, _tune)


def _round(context: Context, project: Project, force: bool) -> None:
    run_round(context, project, progress_to(context.redis, project.slug), force=force)


def _push(context: Context, project: Project) -> None:
    marks = Marks(context.redis, project.slug)
    taken = marks.begin(PUSH)  # first, lest another that is still at work note anew what is forgotten here
    if marks.push_wanted_anew():
        forget_push(context.store, project.folder)
    marks.clear_push()
    report, unavailable = progress_to(context.redis, project.slug), set[int]()
    time_is_up = _timer(context)

    def give_way() -> bool:
        return rounds_wait(context.redis) or time_is_up()

    while push_part(context, project, report, unavailable, taken) and not taken():
        if give_way():
            marks.want_push()
            return
    if taken():
        logger.info("Project %d: another worker goes on with the push", project.key.id)
    elif tidy(context, project, lambda: give_way() or taken()):
        marks.want_push()


def _tune(context: Context, project: Project) -> None:
    marks = Marks(context.redis, project.slug)
    marks.clear_tuning()
    taken = marks.begin(TUNING)
    time_is_up = _timer(context)

    def give_way() -> bool:
        return time_is_up() or others_wait(context.redis) or taken()

    if not tune(context, project, give_way, progress_to(context.redis, project.slug)):
        marks.want_tuning()


def _timer(context: Context) -> Callable[[], bool]:
    """Tells whether half of the time that a job may take is over: what goes on in another job then is not cut off, which is a failure."""
    ends_at = time.monotonic() + context.settings.job_timeout / 2
    return lambda: time.monotonic() > ends_at


def _guarded(slug: str, name: str, work: Callable[[Context, Project], None]) -> None:
    context = open_context()
    try:
        project = context.projects.get(slug)
    except LabelloopError as error:  # what is wanted stays noted, and is asked for again once the store can be read
        logger.error("The %s of %s has to wait: %s", name, slug, error)
        return
    if project is None:
        logger.info("Nothing to do for %s: it is no longer served", slug)
        return
    try:
        work(context, project)
        forget(context, project, name)
    except LabelloopError as error:
        logger.error("Project %d: the %s failed: %s", project.key.id, name, error)
        remember(context, project, name, str(error))
    except Exception as error:
        logger.exception("Project %d: the %s failed", project.key.id, name)
        remember(context, project, name, f"{type(error).__name__}: {error}")
    finally:
        _silence(context, slug)


def _silence(context: Context, slug: str) -> None:
    try:
        clear_progress(context.redis, slug)
    except RedisError:
        logger.warning("Redis is gone; the progress shown is stale for a while")

"""The doctor: walks everything the loop needs, one small check a function, and says what to do about what is not right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from redis.exceptions import RedisError

from labelloop.errors import LabelloopError, LabelStudioDenied, LabelStudioUnreachable
from labelloop.service.connection_record import DENIED_MEND
from labelloop.service.context import Context
from labelloop.service.doctor import connection_checks, content_checks, queue_checks, shared
from labelloop.service.doctor.case import Case
from labelloop.service.doctor.finding import Finding, Level, Seen, broken

UNREACHABLE_MEND = "start it, or set LABEL_STUDIO_URL to where it answers"

__all__ = ["Check", "Finding", "Level", "examine"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        name: what it is called in the report.
        look: gives back what it sees; what it raises on purpose counts as broken.
        needs: checks without which this one has nothing to say; it is left out when one of them is broken.
    """

    name: str
    look: Callable[[Case], Iterator[Seen]]
    needs: tuple[str, ...] = ()


SHARED = (
    Check("store", shared.store),
    Check("redis", shared.redis),
    Check("workers", shared.workers, ("redis",)),
    Check("server", shared.server, ("store",)),
    Check("label studio", shared.label_studio),
    Check("token", shared.token, ("label studio",)),
    Check("projects", shared.projects, ("token", "store")),
)

OF_A_PROJECT = (
    Check("project", content_checks.project),
    Check("label config", content_checks.label_config, ("project",)),
    Check("weights", content_checks.weights, ("label config",)),
    Check("media", content_checks.media, ("label config",)),
    Check("annotators", queue_checks.annotators, ("project",)),
    Check("connection", connection_checks.connection, ("project",)),
    Check("backend", connection_checks.backend, ("connection",)),
    Check("backends", connection_checks.rivals, ("connection",)),
    Check("host name", connection_checks.host_name, ("connection",)),
    Check("webhook", connection_checks.webhook, ("host name",)),
    Check("webhooks", connection_checks.strays, ("connection",)),
    Check("events", connection_checks.events, ("redis", "backend", "webhook")),
    Check("versions", queue_checks.versions, ("connection",)),
    Check("scores", queue_checks.scores, ("versions",)),
    Check("sampling", queue_checks.sampling, ("connection",)),
    Check("predictions", queue_checks.shown, ("connection",)),
    Check("last round", queue_checks.last_round, ("connection",)),
)


def examine(context: Context, project_id: int | None = None) -> Iterator[Finding]:
    """Look at everything, and yield what is found as it is found.

    Args:
        context: the doors to the store, Redis and Label Studio.
        project_id: the project to look at; all that are connected when None.
    """
    down: set[str] = set()
    yield from _run(SHARED, Case(context), down)
    if down & {"store", "label studio", "token"}:
        return
    ids = [project_id] if project_id is not None else [project.key.id for project in context.projects.all()]
    for number in ids:
        yield from _run(OF_A_PROJECT, Case(context, number), set(down))


def _run(checks: tuple[Check, ...], case: Case, down: set[str]) -> Iterator[Finding]:
    for check in checks:
        if down.intersection(check.needs):
            down.add(check.name)
            continue
        for seen in _look(check, case):
            if seen.level is Level.BROKEN:
                down.add(check.name)
            yield Finding(check.name, seen.level, seen.text, seen.mend, case.project_id)


def _look(check: Check, case: Case) -> Iterator[Seen]:
    try:
        yield from check.look(case)
    except LabelStudioDenied as error:
        yield broken(str(error), DENIED_MEND)
    except LabelStudioUnreachable as error:
        yield broken(str(error), UNREACHABLE_MEND)
    except LabelloopError as error:
        yield broken(str(error))
    except RedisError as error:
        yield broken(f"Redis does not answer: {error}")

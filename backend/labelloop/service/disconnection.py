"""Undoes what `connect` did to a project."""

import logging
import time

from redis.exceptions import RedisError

from labelloop.errors import LabelloopError, LabelStudioRejected
from labelloop.labelstudio import LabelStudio
from labelloop.service.addresses import backend_address, webhook_address
from labelloop.service.connection_record import (
    Connection,
    Outcome,
    as_stored,
    drop_connection,
    project_seen,
    read_connection,
)
from labelloop.service.context import Context
from labelloop.service.project_settings import put_back
from labelloop.service.projects import Project
from labelloop.service.queueing import job_state, push_id, round_id
from labelloop.service.registration import backends_at
from labelloop.service.webhooks import remove_webhooks

logger = logging.getLogger(__name__)

WORK_PATIENCE = 20.0
"""Seconds `disconnect` waits for a worker that is busy with the project."""


def disconnect(context: Context, project_id: int, backend_url: str | None = None) -> Outcome:
    """Undo what `connect` did to a project: the backend, its webhooks and the project's former settings.

    Settings that somebody changed since stay. Versions and features stay in the store, predictions in Label Studio.

    Args:
        context: the doors to Label Studio and the store.
        project_id: the project's id in Label Studio.
        backend_url: the backend to remove when the store does not know it.

    Raises:
        LabelloopError: the project is not connected.
        LabelStudioError: Label Studio cannot be reached, or refuses.
    """
    try:
        before = project_seen(context.label_studio, project_id)
    except LabelStudioRejected as error:
        if error.status != 404 or (known := context.projects.find(project_id)) is None:
            raise
        return Outcome(project_id, known.title, backend_url or "", _forget(context, known), [])
    project = as_stored(context, before)
    record = read_connection(context, project) or (Connection(backend_address(backend_url)) if backend_url else None)
    if record is None:
        raise LabelloopError(
            f"Project {project_id} was not connected from this store; give --backend-url to remove the backend at that address."
        )
    # Label Studio sets a backend up once more to list or delete it; out of the store, the project would be taken for a new one.
    titles, removed = _cut_off(context.label_studio, project_id, record)
    # Then out of the store, so that no round begins any more; a round or push at work would undo what follows, so it may end.
    changes = _forget(context, project) + removed
    busy = _let_work_end(context, project)
    restored, warnings = put_back(context.label_studio, before, record.former, record.ours, titles)
    context.projects.forget(project.slug)
    drop_connection(context, project)
    return Outcome(project_id, project.title, record.backend_url, changes + restored, busy + warnings)


def _forget(context: Context, project: Project) -> list[str]:
    served = context.projects.get(project.key) is not None
    context.projects.forget(project.slug)
    return ["the project is no longer served"] if served else []


def _let_work_end(context: Context, project: Project) -> list[str]:
    """Wait for the round and the push that run now; a warning when they take too long. Without Redis nothing can be known."""
    jobs = (round_id(project.slug), push_id(project.slug))
    deadline = time.monotonic() + WORK_PATIENCE
    try:
        while any(job_state(context.redis, job) == "started" for job in jobs):
            if time.monotonic() > deadline:
                return [
                    "A worker is still busy with the project and may select its version once more; disconnect again later."
                ]
            time.sleep(0.1)
    except RedisError as error:
        logger.debug("not known whether a worker is busy: %s", error)
    return []


def _cut_off(label_studio: LabelStudio, project_id: int, record: Connection) -> tuple[list[str], list[str]]:
    """Have Label Studio call the backend no more: the titles of the backends there were, and what was removed."""
    backends = label_studio.ml_backends(project_id)
    ours = backends_at(record.backend_url, backends) or [one for one in backends if one["id"] == record.backend_id]
    for backend in ours:
        label_studio.delete_ml_backend(backend["id"])
    removed = [f"removed the backend {backend['url']}" for backend in ours]
    removed += remove_webhooks(label_studio, project_id, webhook_address(record.backend_url))
    return [backend["title"] for backend in backends], removed

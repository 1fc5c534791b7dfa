"""Connects a Label Studio project with this backend, so that it is called, hears every event and orders its queue; and undoes it.

What it finds is kept in the store before anything is changed, so that `disconnect` can put it back.
"""

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from redis.exceptions import RedisError

from labelloop.errors import LabelloopError, LabelStudioDenied, LabelStudioError, LabelStudioRejected
from labelloop.labelstudio import LabelStudio, ProjectKey
from labelloop.service.addresses import backend_address, same_address, takes_events, webhook_address
from labelloop.service.context import Context
from labelloop.service.project_settings import FIELDS, put_back, settle
from labelloop.service.projects import Project
from labelloop.service.queueing import enqueue_round, job_state
from labelloop.service.registration import PRIVATE_ADDRESS_MEND, backends_at, ensure_backend, is_blocked
from labelloop.service.webhooks import basic_header, mend_webhooks, remove_webhooks

logger = logging.getLogger(__name__)

WORK_PATIENCE = 20.0
"""Seconds `disconnect` waits for a worker that is busy with the project."""

DENIED_MEND = (
    "set LABEL_STUDIO_API_KEY to a personal access token of a user who may manage the project (Account & Settings in Label Studio); "
    "a stock Label Studio refuses legacy tokens"
)
DOTTED_NAME_MEND = (
    "give the backend a name with a dot and without underscores (in Docker Compose a network alias such as labelloop.internal), "
    "then connect again with that address"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """What `connect` did to a project, as the store keeps it.

    Attributes:
        backend_url: where Label Studio calls us.
        backend_id: the backend's id in Label Studio; None until there is one.
        former: the project's settings before.
        ours: the project's settings that we chose.
    """

    backend_url: str
    backend_id: int | None = None
    former: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done.

    Attributes:
        project_id: the project's id in Label Studio.
        title: its title.
        backend_url: where Label Studio calls us.
        changes: what was changed, one line each.
        warnings: what stands in the way and was not changed, with the mend, one line each.
    """

    project_id: int
    title: str
    backend_url: str
    changes: list[str]
    warnings: list[str]


_ADAPTER = TypeAdapter(Connection)


def read_connection(context: Context, project: Project) -> Connection | None:
    """What `connect` did to the project; None when it did nothing."""
    try:
        return _ADAPTER.validate_python(context.store.read_json(_path(project)))
    except ValidationError:  # there is none, or one of another release
        return None


def connect(context: Context, project_id: int, backend_url: str) -> Outcome:
    """Connect a project; doing it again changes nothing.

    Args:
        context: the doors to Label Studio, the store and Redis.
        project_id: the project's id in Label Studio.
        backend_url: where Label Studio can call the backend.

    Raises:
        SettingsError: the URL cannot be used.
        LabelStudioError: Label Studio cannot be reached, or refuses; nothing of the project's settings has been changed.
        StoreError: the store cannot be written.
    """
    url = backend_address(backend_url)
    label_studio = context.label_studio
    before = _project(label_studio, project_id)
    project = _as_stored(context, before)
    changes = [] if context.projects.get(project.key) else ["the project is served from now on"]
    earlier = read_connection(context, project)
    record = earlier or Connection(url, former={name: before[name] for name in FIELDS})
    _keep(context, project, record)
    try:
        basic_auth = context.settings.basic_auth.get_secret_value()
        backend, registered = ensure_backend(label_studio, project_id, url, basic_auth, record.backend_id)
    except LabelStudioError:
        if earlier is None:
            context.store.delete(_path(project))
        raise
    changes += registered
    if not same_address(record.backend_url, url):
        changes += remove_webhooks(label_studio, project_id, webhook_address(record.backend_url))
    heard, warnings = _ensure_webhook(context, project_id, url)
    warnings += _rivals(label_studio, project_id, int(backend["id"]))
    live = context.versions(project).live_name()
    ours, settled = settle(label_studio, before, context.settings, live)
    record = replace(record, backend_url=url, backend_id=int(backend["id"]), ours={**record.ours, **ours})
    _keep(context, project, record)
    context.projects.register(project.key, project.label_config, project.title, project.overlap)
    changes += heard + settled
    if changes or live is None:
        warnings += _ask_first_round(context, project)
    return Outcome(project_id, project.title, url, changes, warnings)


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
        before = _project(context.label_studio, project_id)
    except LabelStudioRejected as error:
        if error.status != 404 or (known := context.projects.find(project_id)) is None:
            raise
        return Outcome(project_id, known.title, backend_url or "", _forget(context, known), [])
    project = _as_stored(context, before)
    record = read_connection(context, project) or (Connection(backend_address(backend_url)) if backend_url else None)
    if record is None:
        raise LabelloopError(
            f"Project {project_id} was not connected from this store; give --backend-url to remove the backend at that address."
        )
    # First out of the store, so that no round begins any more; a round or push at work would undo what follows, so it may end.
    changes = _forget(context, project)
    busy = _let_work_end(context, project)
    undone, warnings = _undo(context.label_studio, before, record)
    context.projects.forget(project.slug)
    context.store.delete(_path(project))
    return Outcome(project_id, project.title, record.backend_url, changes + undone, busy + warnings)


def _forget(context: Context, project: Project) -> list[str]:
    served = context.projects.get(project.key) is not None
    context.projects.forget(project.slug)
    return ["the project is no longer served"] if served else []


def _let_work_end(context: Context, project: Project) -> list[str]:
    """Wait for the round and the push that run now; a warning when they take too long. Without Redis nothing can be known."""
    jobs = (f"round-{project.slug}", f"push-{project.slug}")
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


def _undo(label_studio: LabelStudio, before: dict[str, Any], record: Connection) -> tuple[list[str], list[str]]:
    """What was changed in Label Studio, and what could not be."""
    project_id = int(before["id"])
    backends = label_studio.ml_backends(project_id)
    ours = backends_at(record.backend_url, backends) or [one for one in backends if one["id"] == record.backend_id]
    for backend in ours:
        label_studio.delete_ml_backend(backend["id"])
    changes = [f"removed the backend {backend['url']}" for backend in ours]
    changes += remove_webhooks(label_studio, project_id, webhook_address(record.backend_url))
    titles = [backend["title"] for backend in backends]
    restored, warnings = put_back(label_studio, before, record.former, record.ours, titles)
    return changes + restored, warnings


def _project(label_studio: LabelStudio, project_id: int) -> dict[str, Any]:
    try:
        return label_studio.project(project_id)
    except LabelStudioDenied as error:
        raise LabelStudioDenied(f"{error} {DENIED_MEND[0].upper()}{DENIED_MEND[1:]}.") from error
    except LabelStudioRejected as error:
        if error.status != 404:
            raise
        raise LabelStudioRejected(
            f"Label Studio at {label_studio.url} has no project {project_id} that the user of this token may see.", 404
        ) from error


def _as_stored(context: Context, seen: dict[str, Any]) -> Project:
    key = ProjectKey.from_project(seen)
    return Project(key, context.projects.slug(key), seen["title"], seen["label_config"], seen["maximum_annotations"])


def _ensure_webhook(context: Context, project_id: int, url: str) -> tuple[list[str], list[str]]:
    """Changes made and warnings."""
    late = f"until then new labels are noticed within {context.settings.reconcile_every:.0f} s instead of at once"
    if not takes_events(url):
        return [], [f"Label Studio sends no events to the host of {url}; {DOTTED_NAME_MEND}; {late}."]
    headers = basic_header(context.settings.basic_auth.get_secret_value())
    try:
        return mend_webhooks(context.label_studio, project_id, webhook_address(url), headers), []
    except (LabelStudioDenied, LabelStudioRejected) as error:
        why = (
            f"sends no events to a private address; {PRIVATE_ADDRESS_MEND}"
            if is_blocked(error)
            else f"refuses: {error}"
        )
        return [], [f"There is no webhook, because Label Studio {why}; {late}."]


def _rivals(label_studio: LabelStudio, project_id: int, ours: int) -> list[str]:
    """A warning when Label Studio would ask another backend for predictions."""
    backends = label_studio.ml_backends(project_id)
    if len(backends) < 2:
        return []
    first = backends[0]
    whom = "which is this one" if first["id"] == ours else f"which is {first['title']!r} at {first['url']}"
    return [
        f"The project has {len(backends)} backends and Label Studio asks only the first for predictions, {whom}; "
        "remove the others under Settings > Model."
    ]


def _ask_first_round(context: Context, project: Project) -> list[str]:
    try:
        enqueue_round(context.redis, project.slug, context.settings)
    except RedisError as error:
        logger.debug("no round was enqueued: %s", error)
        return [
            "Redis cannot be reached, so the first round starts when it can; run `labelloop up`, or mend REDIS_URL."
        ]
    return []


def _keep(context: Context, project: Project, record: Connection) -> None:
    context.store.write_json(_path(project), _ADAPTER.dump_python(record))


def _path(project: Project) -> str:
    return f"{project.folder}/connection.json"

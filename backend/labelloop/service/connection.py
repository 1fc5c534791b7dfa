"""Connects a Label Studio project with this backend, so that it is called, hears every event and orders its queue.

What it finds is kept in the store before anything is changed, so that `disconnect` can put it back.
"""

import logging
from dataclasses import replace

from redis.exceptions import RedisError

from labelloop.errors import LabelStudioDenied, LabelStudioError, LabelStudioRejected
from labelloop.labelstudio import LabelStudio
from labelloop.service.addresses import backend_address, same_address, takes_events, webhook_address
from labelloop.service.connection_record import (
    Connection,
    Outcome,
    as_stored,
    drop_connection,
    keep_connection,
    project_seen,
    read_connection,
)
from labelloop.service.context import Context
from labelloop.service.project_settings import FIELDS, settle, switch_queue
from labelloop.service.projects import Project
from labelloop.service.queueing import enqueue_round
from labelloop.service.registration import PRIVATE_ADDRESS_MEND, ensure_backend, is_blocked
from labelloop.service.webhooks import basic_header, mend_webhooks, remove_webhooks

logger = logging.getLogger(__name__)

DOTTED_NAME_MEND = (
    "give the backend a name with a dot and without underscores (in Docker Compose a network alias such as labelloop.internal), "
    "then connect again with that address"
)


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
    before = project_seen(label_studio, project_id)
    project = as_stored(context, before)
    changes = [] if context.projects.get(project.key) else ["the project is served from now on"]
    earlier = read_connection(context, project)
    record = earlier or Connection(url, former={name: before[name] for name in FIELDS})
    keep_connection(context, project, record)
    try:
        basic_auth = context.settings.basic_auth.get_secret_value()
        backend, registered = ensure_backend(label_studio, project_id, url, basic_auth, record.backend_id)
    except LabelStudioError:
        if earlier is None:
            drop_connection(context, project)
        raise
    changes += registered
    if not same_address(record.backend_url, url):
        changes += remove_webhooks(label_studio, project_id, webhook_address(record.backend_url))
    heard, warnings = _ensure_webhook(context, project_id, url)
    warnings += _rivals(label_studio, project_id, int(backend["id"]))
    live = context.versions(project).live_name()
    ours, settled = settle(label_studio, before, context.settings, live)
    _order_again(context, project)
    record = replace(record, backend_url=url, backend_id=int(backend["id"]), ours={**record.ours, **ours})
    keep_connection(context, project, record)
    context.projects.register(project.key, project.label_config, project.title, project.overlap)
    changes += heard + settled
    if changes or live is None:
        warnings += _ask_first_round(context, project)
    return Outcome(project_id, project.title, url, changes, warnings)


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


def _order_again(context: Context, project: Project) -> None:
    """Let the scores order the queue that a worker wrote while Label Studio registered the backend, which put its title in their place.

    Label Studio is asked for them, since a worker notes only after it has switched the queue that it did.
    """
    live, project_id = context.versions(project).live_name(), project.key.id
    if live and context.label_studio.model_versions(project_id).get(live):
        switch_queue(context.label_studio, project_id, context.settings, live)


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

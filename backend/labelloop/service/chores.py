"""Cleaning up behind the live version: old predictions in Label Studio, old versions and half-written files in the store.

Label Studio deletes a version's predictions in one transaction that holds up every submit, some 4 ms a row on SQLite. So only small
versions are deleted that way. From the rest, tasks are cleared of all their predictions, a few at a time with pauses in which
annotators can submit, beginning with the least urgent; the push then writes those of the live version again.
"""

import logging
from collections.abc import Callable

from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.push_state import PushState, read_push, write_push
from labelloop.service.tuned import delete_unused
from labelloop.service.versions import Version, is_version_name

logger = logging.getLogger(__name__)

SMALL = 100
SLICE = 100


def tidy(context: Context, project: Project, interrupted: Callable[[], bool]) -> bool:
    """Delete what nobody will look at again, once the live version is pushed.

    Predictions of other models than ours are left alone: where a project holds any, its tasks are not cleared.

    Args:
        context: the doors.
        project: whose.
        interrupted: asked now and then; True ends the work early.

    Returns:
        True when tasks were cleared and the push is to write the live version's predictions again.

    Raises:
        LabelStudioError: Label Studio could not be written to; the next push tries again.
        StoreError: the store could not be written to.
    """
    versions = context.versions(project)
    live, push = versions.live(), read_push(context.store, project.folder)
    retired = versions.retire(context.settings.keep_versions)
    for name in retired:
        logger.info("Project %d: version %s is removed from the store", project.key.id, name)
    if retired:
        delete_unused(context, project)
    context.store.sweep(project.folder)
    if live is None or push is None or not push.switched or push.version != live.name:
        return False
    left = _delete_small(context, project, live.name)
    is_time = live.number - _last_cleared(context, project) >= context.settings.prune_every
    if not left or not is_time or not all(is_version_name(name) for name in left):
        return False
    # Another worker may have published meanwhile, whose scores wait until this is over.
    return _clear(context, project, live, push, lambda: interrupted() or versions.live_name() != live.name)


def _delete_small(context: Context, project: Project, live: str) -> set[str]:
    """Delete small superseded versions; returns the names of all that are left beside the live one."""
    left = context.label_studio.model_versions(project.key.id)
    left.pop(live, None)
    small = {name for name, count in left.items() if count <= SMALL and is_version_name(name)}
    for name in small:
        context.label_studio.delete_model_version(project.key.id, name)
    return left.keys() - small


def _clear(context: Context, project: Project, live: Version, push: PushState, interrupted: Callable[[], bool]) -> bool:
    """Clear the tasks of the queue, the least urgent first; those about to be served are left alone."""
    by_urgency = sorted(push.done & push.scores.keys(), key=lambda task_id: (push.scores[task_id], task_id))
    clearable = by_urgency[context.settings.push_first :][::-1]
    gone = 0
    for start in range(0, len(clearable), SLICE):
        if interrupted():
            return gone > 0
        part = clearable[start : start + SLICE]
        push.done -= set(part)
        push.certain = False  # until it is known that they are gone, or they would be written beside those there are
        write_push(context.store, project.folder, push)
        gone += context.label_studio.clear_predictions(project.key.id, part)
        push.certain = True
        write_push(context.store, project.folder, push)
    context.store.write_json(_path(project), {"number": live.number})
    if gone:
        logger.info("Project %d: %d predictions are removed from Label Studio", project.key.id, gone)
    return gone > 0


def _last_cleared(context: Context, project: Project) -> int:
    """Number of the version that was live when the queue was last cleared."""
    record = context.store.read_json(_path(project))
    return int(record["number"]) if record else 0


def _path(project: Project) -> str:
    return f"{project.folder}/cleared.json"

"""One round: look at Label Studio, train if enough has changed, publish what the gate lets through, and ask for the push."""

import logging
import time
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from labelloop.errors import LabelConfigError, LabelloopError, LabelStudioRejected
from labelloop.labelstudio import LabelConfig, ProjectKey, rules_of
from labelloop.service.book import read_book, write_book
from labelloop.service.candidates import try_each
from labelloop.service.considered import read_considered, write_considered
from labelloop.service.context import Context
from labelloop.service.labelling import Labels, count_changes, describe_removed, in_queue, plain
from labelloop.service.marks import Mark, Marks
from labelloop.service.ordering import still_asked_for
from labelloop.service.projects import Project
from labelloop.service.publisher import push_is_due
from labelloop.service.queueing import enqueue_push, enqueue_tuning
from labelloop.service.reading import how_read
from labelloop.service.releases import reasons, release, release_cold, untaught
from labelloop.service.scene import Scene
from labelloop.service.state import (
    ROUND,
    Progress,
    ProjectState,
    note_broken,
    now_iso,
    read_state,
    write_state,
)
from labelloop.service.stopping import spent_on, why_stopped
from labelloop.service.storytelling import note_history
from labelloop.service.sync import synchronise
from labelloop.service.triggers import Decision, decide
from labelloop.service.tuning_due import tuning_is_due
from labelloop.service.versions import Version
from labelloop.settings import Settings

logger = logging.getLogger(__name__)

GONE_AFTER = 4
"""Failed rounds in a row after which a project that Label Studio does not find is gone: more than a minute, with the waits between."""


def run_round(context: Context, project: Project, report: Progress, *, force: bool = False) -> None:
    """Do one round of a project.

    Args:
        context: the doors.
        project: which.
        report: told of each step.
        force: train even if little has changed.

    Raises:
        LabelloopError: something is wrong that the next round may find mended; the hints are kept for it.
    """
    marks = Marks(context.redis, project.slug)
    mark = marks.take()
    try:
        state = _run(context, project, mark, force or mark.force, report)
    except BaseException:
        marks.put_back(mark)
        raise
    marks.settle()
    # Of the project's other jobs another worker may have written meanwhile.
    failing = read_state(context.store, project.folder).failing
    write_state(context.store, project.folder, replace(state, failing=failing))


def _run(context: Context, project: Project, mark: Mark, force: bool, report: Progress) -> ProjectState:
    scene = _look(context, project, mark, report)
    state = _seen(read_state(context.store, project.folder), scene)
    considered = read_considered(context.store, project.folder)
    now, signature = time.time(), _signature(scene.config, context.settings)
    changes = count_changes(plain(scene.labelled), considered.labels_at(now))
    asked_anew = (considered.controls or signature) != signature
    force = force or asked_anew
    state = _with_changes(state, changes, now)
    decision = decide(changes, state.first_change_at, state.last_change_at, now, context.settings, force=force)
    stopped = "" if force else _stopped(scene, considered.labels)
    state = replace(state, stopped=stopped)
    if decision.due and not stopped:
        state, missed = _train(scene, state, decision, report, asked_anew=asked_anew)
        write_considered(
            context.store, project.folder, considered.after(plain(scene.labelled), signature, missed, time.time())
        )
    else:
        state = replace(state, waiting_for=stopped or decision.reason)
    _cover(scene)
    # What would be judged otherwise now is not told of any more, and read again when scores are written next.
    if scene.broken:
        note_broken(context, scene.project, {}, scene.book.tasks)
    marks = Marks(context.redis, project.slug)
    if push_is_due(context, scene.project, scene.book):
        marks.want_push()
        enqueue_push(context.redis, project.slug, context.settings)
    if tuning_is_due(context, scene.project):
        marks.want_tuning()
        enqueue_tuning(context.redis, project.slug, context.settings)
    marks.set_due(_next_look(decision, now, context.settings))
    if changes and not decision.due:
        # The rest of the batch is counted on from here, or a look in its middle would put the training off until it is quiet.
        marks.note(changes)
    return replace(state, last_round_at=now_iso())


def _stopped(scene: Scene, considered: Labels) -> str:
    """Why no training starts by itself; empty while they do."""
    seen = {int(task_id) for found in considered.values() for task_id in found}
    learnt = (scene.book.tasks[task_id] for task_id in seen & scene.book.tasks.keys())
    return why_stopped(scene.context, scene.project, scene.live, learnt)


def _cover(scene: Scene) -> None:
    """Publish a version where none is live, the config has changed before anything was learnt, what was learnt is not asked for any
    more, so that Label Studio does not go on showing it, more answers by itself now, or what was set aside may be read now."""
    context, controls = scene.context, scene.config.controls
    versions, settings = context.versions(scene.project), context.settings
    live = versions.live()
    if live is None or _is_of_another_config(live, scene) or (live.stage == "cold" and _rules_have_changed(scene)):
        version = release_cold(versions, controls, settings)
    elif not untaught(settings, controls, live):
        return
    elif live.stage == "cold":
        version = release_cold(versions, controls, settings)
    else:
        version = release(versions, live, {}, controls, settings)
        note_history(context, scene.project, scene.book, version, {}, scene.labelled)
    logger.info("Project %d: %s is live. %s", scene.project.key.id, version.name, version.reason)


def _look(context: Context, project: Project, mark: Mark, report: Progress) -> Scene:
    record = _ask_for(context, project)
    if context.projects.get(project.slug) is None:  # disconnected meanwhile; to register it would have it served again
        raise LabelloopError(f"Project {project.key.id} is no longer served.")
    project = context.projects.register(
        project.key, record["label_config"], record["title"], record["maximum_annotations"]
    )
    report("sync", 0, record["task_number"])
    book = synchronise(
        read_book(context.store, project.folder),
        context.label_studio,
        record,
        full=mark.full,
        full_every=context.settings.full_sync_every,
        report=lambda done, total: report("sync", done, total),
    )
    if book.changed:
        write_book(context.store, project.folder, book)
    scene = Scene.of(context, project, book)
    if not scene.config.controls:
        raise LabelConfigError(
            f"Project {project.key.id} has no control Labelloop can learn. " + " ".join(scene.config.unsupported)
        )
    return scene


def _ask_for(context: Context, project: Project) -> dict[str, Any]:
    """The project as Label Studio has it now; one that stays away is served no longer.

    Raises:
        LabelStudioRejected: it is not there, or another has its id.
    """
    try:
        record = context.label_studio.project(project.key.id)
    except LabelStudioRejected as error:
        failure = read_state(context.store, project.folder).failing.get(ROUND)
        # A proxy answers so, too, while Label Studio starts again.
        if error.status == HTTPStatus.NOT_FOUND and failure and failure.times >= GONE_AFTER:
            context.projects.forget(project.slug)
        raise
    if ProjectKey.from_project(record) != project.key:
        context.projects.forget(project.slug)
        raise LabelStudioRejected(
            f"Project {project.key.id} in Label Studio is another one now; connect it with `labelloop connect`.", 404
        )
    return record


def _seen(state: ProjectState, scene: Scene) -> ProjectState:
    labels = len({task_id for found in scene.labelled.values() for task_id in found.targets})
    spent = spent_on(scene.book.tasks.values(), labels)
    return replace(
        state,
        tasks=len(scene.book.tasks),
        labels=labels,
        pool=len(scene.book.tasks) - labels,
        queue=sum(in_queue(task, scene.project.overlap) for task in scene.book.tasks.values()),
        annotations=spent.annotations,
        hours=spent.hours,
        unsupported=scene.config.unsupported,
        set_aside=describe_removed(scene.labelled),
    )


def _with_changes(state: ProjectState, changes: int, now: float) -> ProjectState:
    if changes == 0:
        return replace(state, changes=0, first_change_at=0.0, last_change_at=0.0)
    if changes == state.changes:
        return state
    return replace(state, changes=changes, first_change_at=state.first_change_at or now, last_change_at=now)


def _next_look(decision: Decision, now: float, settings: Settings) -> float:
    reconcile = now + settings.reconcile_every
    return min(reconcile, decision.check_at) if decision.check_at else reconcile


def _train(
    scene: Scene, state: ProjectState, decision: Decision, report: Progress, *, asked_anew: bool
) -> tuple[ProjectState, set[int]]:
    """Train every control that has enough labels and publish what the gate lets through as one version, or say why not.

    Where the config asks for something else (`asked_anew`) the live version is published anew if nothing gets through: what
    Label Studio holds of it may name classes that are gone, and is never replaced under the same name.

    Returns:
        The new state, and the labelled tasks whose media could not be had this time.
    """
    started = time.monotonic()
    context, tried = scene.context, try_each(scene, report)
    took = time.monotonic() - started
    candidates, notes = tried.candidates, tried.notes
    note_broken(context, scene.project, scene.broken, scene.book.tasks)
    state = replace(
        _with_changes(state, 0, 0.0),
        waiting_for=" ".join(notes),
        last_training_at=now_iso(),
        findings=tuple(line for candidate in candidates.values() for line in candidate.findings),
    )
    controls = scene.config.controls
    accepted = {name: candidate for name, candidate in candidates.items() if candidate.decision.accepted}
    refusal = reasons({name: one for name, one in candidates.items() if name not in accepted}, controls)
    refused = f"Refused: {refusal}" if refusal else ""
    if not accepted and not (asked_anew and _goes_on(scene.live, scene.project)):
        outcome = refused or "Nothing to train yet. " + " ".join(notes)
        logger.info("Project %d: %s (%.1f s)", scene.project.key.id, outcome, took)
        return replace(state, last_training=outcome, last_refusal=refusal or state.last_refusal), tried.missed
    version = release(context.versions(scene.project), scene.live, accepted, controls, context.settings)
    note_history(context, scene.project, scene.book, version, accepted, scene.labelled)
    why = f"{decision.reason}; trained on {version.labels} labels in {took:.1f} s"
    logger.info("Project %d: %s is live (%s)", scene.project.key.id, version.name, why)
    if refused:
        logger.info("Project %d: %s", scene.project.key.id, refused)
    outcome = f"Published {version.name}. {version.reason} {refused}".rstrip()
    return replace(state, last_training=outcome, last_refusal=refusal), tried.missed


def _is_of_another_config(live: Version, scene: Scene) -> bool:
    """Whether the config asks for nothing that the live version has learnt, or, if that is nothing yet, for something else."""
    if live.stage == "cold":
        return tuple(record.control for record in live.learners) != scene.config.controls
    return not _goes_on(live, scene.project)


def _rules_have_changed(scene: Scene) -> bool:
    """Whether something was set aside by other settings than those of now. Once there is a model, the next version reads it again."""
    rules = rules_of(scene.context.settings)
    return any(note.rules != rules for note in scene.broken.values())


def _goes_on(live: Version | None, project: Project) -> bool:
    """Whether the live version has learnt something that the config still asks for."""
    return live is not None and live.stage == "trained" and bool(still_asked_for(live.learnt, project.label_config))


def _signature(config: LabelConfig, settings: Settings) -> dict[str, list[Any]]:
    """What a training depends on in a label config and in how it is read; one that differs calls for a training."""
    return {one.name: [*one.question, one.data_key, how_read(one, settings), *one.labels] for one in config.controls}

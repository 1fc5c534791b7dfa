"""Checks of what decides the order of a project's queue: versions that agree, scores, and the project's settings."""

from collections.abc import Iterator

from labelloop.service.doctor.case import Case
from labelloop.service.doctor.finding import Seen, broken, ok, warn
from labelloop.service.project_settings import UNCERTAINTY


def versions(case: Case) -> Iterator[Seen]:
    """Store, server and project name the same version."""
    live, served = case.agreed()
    selected = case.seen["model_version"] or ""
    titles = {found["title"] for found in case.backends}
    if served != live:
        yield broken(
            f"the store says {live}, the server answers {served}",
            "give the server the same LABELLOOP_STORE_URL and restart it",
        )
    elif selected in titles:
        yield broken(f"the project selects the backend's title {selected!r}, so no score counts", case.connect_command)
    elif case.live is None:
        yield warn("no version is published yet", f"labelloop train --project {case.project_id}")
    elif selected != live and not case.scores_written and case.queue_is_empty:
        yield ok(f"{live} is live and answered; no task waits for a label, so its scores need not be written")
    elif selected != live and not case.scores_written:
        yield warn(
            f"{live} is live, its scores are not all written yet", "nothing; `labelloop status` tells how far it is"
        )
    elif selected != live:
        yield warn(
            f"{live} is live, the project selects {selected or 'none'}",
            f"labelloop rescore --project {case.project_id}",
        )
    else:
        yield ok(f"{live} is live, answered and selected")


def scores(case: Case) -> Iterator[Seen]:
    """Every task that waits has a score of the live version, and none is null."""
    if case.live is None or not case.model_versions.get(case.live.name):
        return
    waiting = case.context.label_studio.count_tasks(case.seen["id"], annotated=False)
    unscored = case.context.label_studio.count_tasks(case.seen["id"], annotated=False, scored=False)
    if unscored:
        yield warn(
            f"{unscored} of {waiting} tasks that wait have no score (missing or null) and are served last or out of turn",
            f"labelloop rescore --project {case.project_id}; new tasks get theirs by themselves within a minute",
        )
    else:
        yield ok(f"all {waiting} tasks that wait have one")


def sampling(case: Case) -> Iterator[Seen]:
    """The project serves the lowest score first."""
    found = case.seen["sampling"]
    if found == UNCERTAINTY:
        yield ok(found)
    elif not case.settings.sampling:
        yield warn(f"{found}: the scores do not order the queue", "wanted so by LABELLOOP_SAMPLING=false")
    else:
        yield broken(f"{found}: the scores do not order the queue", case.connect_command)


def annotators(case: Case) -> Iterator[Seen]:
    """One annotation a task; with more, Label Studio finishes begun tasks first, whatever their score."""
    maximum = int(case.seen["maximum_annotations"])
    if maximum > 1:
        yield warn(
            f"{maximum} annotations a task: Label Studio serves begun tasks before it looks at scores",
            "set Settings > Quality > annotations per task to 1, unless you need the overlap",
        )
    else:
        yield ok("one annotation a task")


def shown(case: Case) -> Iterator[Seen]:
    """Annotators see predictions, or do not, as the settings say."""
    found = bool(case.seen["show_collab_predictions"])
    if found is case.settings.blind:
        seen = (
            "annotators see predictions, against LABELLOOP_BLIND=true" if found else "annotators do not see predictions"
        )
        yield warn(seen, case.connect_command)


def last_round(case: Case) -> Iterator[Seen]:
    """The last round went well, and nothing was set aside."""
    state = case.state
    if state.error:
        yield broken(f"the last round failed: {state.error}", "mend that; the next round tries again by itself")
    elif state.last_round_at:
        yield ok(f"ended at {state.last_round_at}")
    else:
        yield warn("none has ended yet", "look at `labelloop status`; without a worker none starts")
    if state.broken:
        (task_id, _), note = next(iter(state.broken.items()))
        yield warn(
            f"{len({task for task, _ in state.broken})} tasks are set aside, such as {task_id}: {note.reason}",
            "mend the tasks' data or media",
        )
    for line in state.set_aside:
        yield warn(line)

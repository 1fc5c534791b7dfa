"""A candidate for each control of a project, or why there is none."""

import logging
from dataclasses import dataclass

from labelloop.errors import LearningError, MediaUnavailable, NotEnoughLabels
from labelloop.labelstudio import with_used_labels
from labelloop.records import Control, Kind
from labelloop.service.labelling import in_queue
from labelloop.service.releases import learner_record
from labelloop.service.scene import Scene
from labelloop.service.state import Progress
from labelloop.service.training import Candidate, train_control

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying to learn each control.

    Attributes:
        candidates: by control name.
        notes: of the others, why there is none, a sentence each.
        missed: labelled tasks whose media could not be had this time.
    """

    candidates: dict[str, Candidate]
    notes: list[str]
    missed: set[int]


def try_each(scene: Scene, report: Progress) -> Tried:
    """A candidate for each control that has enough labels, and of each other why there is none.

    Raises:
        MediaUnavailable: nothing can be learnt before a host is back.
        LearningError: what is live cannot be learnt anew.
    """
    candidates: dict[str, Candidate] = {}
    away: dict[str, MediaUnavailable] = {}
    notes: list[str] = []
    for control in scene.config.controls:
        try:
            candidate = _train_one(scene, control, report)
        except NotEnoughLabels as error:
            notes.append(str(error))
            continue
        except MediaUnavailable as error:
            # Its labels are missed until their host is back; what other controls look at may well be there.
            away[control.name] = error
            continue
        except LearningError as error:
            if scene.live and any(record.control.name == control.name for record in scene.live.learnt):
                raise
            # What was never learnt, as for want of a library, does not stop the others from being.
            logger.error("Project %d: %r is not learnt: %s", scene.project.key.id, control.name, error)
            notes.append(f"{control.name!r} is not learnt: {error}")
            continue
        candidates[control.name] = candidate
        scene.broken.update(candidate.broken)
    if away and not candidates:
        raise next(iter(away.values()))
    notes += [f"{name!r} cannot be learnt now: {error}" for name, error in away.items()]
    missed = {task_id for candidate in candidates.values() for task_id in candidate.unavailable}
    missed |= {task_id for name in away for task_id in scene.labelled[name].targets}
    return Tried(candidates, notes, missed)


def _train_one(scene: Scene, control: Control, report: Progress) -> Candidate:
    targets = scene.labelled[control.name].targets
    control = with_used_labels(control, targets.values())
    classes = {target.summary for target in targets.values()}
    if control.kind is Kind.CLASS and len(classes) < 2:
        raise NotEnoughLabels(f"{control.name!r} needs labels of at least two classes and has {len(classes)}.")
    if not targets:
        raise NotEnoughLabels(f"{control.name!r} has no labels yet.")
    tasks = scene.book.tasks
    record = learner_record(scene.context.settings, control, scene.live)
    return train_control(
        record,
        [tasks[task_id] for task_id in sorted(targets)],
        targets,
        scene.embedder(record),
        scene.sides(control),
        scene.incumbent(control),
        scene.context.settings,
        report,
        [task for task in tasks.values() if task.id not in targets and in_queue(task, scene.project.overlap)],
    )

"""Gives every task of the queue its score: lower is served sooner."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelloop.labelstudio import parse_label_config, showable, visible_controls
from labelloop.labelstudio.codecs.attributes import asked_about, asked_parts
from labelloop.labelstudio.pieces import in_pieces
from labelloop.labelstudio.tasks import Region
from labelloop.learning import (
    Learner,
    Pool,
    Reads,
    believed,
    rank_scores,
    scores_along,
    skill,
    strategy_for,
)
from labelloop.records import Control, Prediction, Target
from labelloop.service.embedding import Embedded
from labelloop.service.enough import to_judge
from labelloop.service.versions import LearnerRecord
from labelloop.settings import Settings

LAST = 1.0
"""Score of a task no model can read: it is served when all others are done."""


@dataclass(frozen=True, slots=True)
class Known:
    """What strategies go by beside the queue, of the control whose features they look at.

    Attributes:
        features: float32 [m, d], features of labelled tasks.
        labels: int [m], which of the classes each is of; -1: none of them; None: items do not have one class.
        classes: how many classes there are; for items of several, see `varieties`.
        skill: what the model is known to be able to; see `learning.skill`.
        batch: about how many tasks are labelled before the next version's scores arrive.
        remembered: the learner answers a task with what was said of the nearest one.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    classes: int
    skill: float | None
    batch: int
    remembered: bool = False


def predict_all(
    learners: Mapping[Control, Learner], embedded: Mapping[str, Embedded]
) -> dict[int, dict[str, Prediction]]:
    """What each control's learner says of each task that has its features.

    Args:
        learners: of each control, what asks about regions after what draws them.
        embedded: by control name.
    """
    predictions: dict[int, dict[str, Prediction]] = {}
    in_question = asked_about(learners)
    for control, learner in learners.items():
        found = embedded[control.name]
        asks = learner.reads is Reads.PARTS
        parts = [asked_parts(control, predictions.get(task_id, {})) for task_id in found.ids] if asks else None
        said = learner.predict(found.inputs(learner.reads, parts=parts)) if found.ids else ()
        for task_id, prediction in zip(found.ids, said, strict=True):
            told = in_pieces(prediction) if control.name in in_question else prediction
            predictions.setdefault(task_id, {})[control.name] = told
    return predictions


def counting(
    controls: Iterable[Control],
    predictions: Mapping[str, Prediction],
    data: Mapping[str, Any],
    drawn: Sequence[Region] = (),
) -> Mapping[str, Prediction]:
    """What a task's place in the queue goes by: nobody is asked about a control that the others' predictions keep hidden.

    One that waits for a control which is not learnt, or not yet, counts: annotators may well be asked about it, and left out it
    would never be learnt where it is most in doubt. Where all would be hidden, all count.
    """
    said = {control: predictions[control.name] for control in controls if control.name in predictions}
    seen = visible_controls(said, data, drawn)
    return {name: prediction for name, prediction in predictions.items() if name in seen} or predictions


def task_uncertainty(predictions: Mapping[str, Prediction], settings: Settings) -> float:
    """How uncertain a task is, by what its controls say and the settings weigh; in [0, 1]."""
    weights = {name: settings.control_weights.get(name, 1.0) for name in predictions}
    weighted = [weights[name] * prediction.uncertainty for name, prediction in predictions.items()]
    if settings.task_uncertainty == "mean":
        return sum(weighted) / (sum(weights.values()) or 1.0)
    return max(weighted)


def score_of(predictions: Mapping[str, Prediction], settings: Settings) -> float:
    """Label Studio's score: 1 - uncertainty, in [0, 1]."""
    return float(min(1.0, max(0.0, 1.0 - task_uncertainty(predictions, settings))))


def speaking_for_all(
    probabilities: NDArray[Any], hidden: NDArray[np.bool_], uncertainties: NDArray[np.floating[Any]]
) -> NDArray[Any]:
    """A control's class probabilities, with a margin as small as the task is uncertain where the control itself is hidden.

    Strategies that go by probabilities would else serve a task for the doubts of a control that nobody is asked about.

    Args:
        probabilities: [n, C].
        hidden: bool [n], where the others' predictions keep the control hidden.
        uncertainties: [n] in [0, 1], of what people are asked about.
    """
    if probabilities.shape[1] < 2:
        return probabilities
    told = np.where(hidden[:, None], 0.0, probabilities)
    second, first = np.argsort(probabilities, axis=1, kind="stable")[:, -2:].T
    rows = np.flatnonzero(hidden)
    told[rows, first[rows]], told[rows, second[rows]] = 1 - uncertainties[rows] / 2, uncertainties[rows] / 2
    return told


def worth_showing(
    controls: Iterable[Control], predictions: Mapping[str, Prediction], threshold: float, data: Mapping[str, Any]
) -> list[tuple[Control, Prediction]]:
    """What annotators are to see of a task with such data: what it offers and is at least as confident as the thresholds."""
    said = [(control, predictions[control.name]) for control in controls if control.name in predictions]
    shown = [(c, showable(c, p, data, max(threshold, c.threshold))) for c, p in said]
    return [(control, prediction) for control, prediction in shown if prediction is not None]


def varieties(targets: Collection[Target]) -> int:
    """How many classes there are to be learnt, for items that have several: each of them shows more than one."""
    named = [target.classes for target in targets if target.classes]
    if not named:
        return 1
    return max(1, round(len(set().union(*named)) * len(named) / sum(map(len, named))))


def still_asked_for(learners: Iterable[LearnerRecord], label_config: str) -> dict[str, Control]:
    """The controls of a version's learners that the config still has, as they are now, by name.

    Raises:
        LabelConfigError: the config cannot be read.
    """
    now = {control.name: control for control in parse_label_config(label_config).controls}
    known = {r.control.name: r.control for r in learners if (c := now.get(r.control.name)) and r.answers(c)}
    now |= {n: replace(now[n], labels=c.labels) for n, c in known.items() if now[n].option("labels_from")}
    return {name: now[name] for name in known}


def known_skill(record: LearnerRecord, settings: Settings) -> float | None:
    """What a learner is known to be able to, from its holdout where that is large enough, else from cross-validation."""
    metrics = believed(record.metrics, record.cv_metrics, to_judge(settings, record.control.kind))
    return skill(metrics) if metrics is not None else None


def score_queue(
    order: str,
    settings: Settings,
    queue: Sequence[int],
    predictions: Mapping[int, Mapping[str, Prediction]],
    features: Embedded,
    probabilities: NDArray[Any] | None,
    known: Known,
    *,
    members: NDArray[Any] | None = None,
    seed: int = 0,
) -> dict[int, float]:
    """Score the queue so that the lowest scores first is the strategy's order.

    With a model the scores are the tasks' 1 - uncertainty, handed out along the order; without one they are ranks spread over
    [0, 1]. What lacks the features that strategies look at gets its own 1 - uncertainty, and comes last where no control can
    say anything of it.

    Args:
        order: name of the strategy.
        settings: which strategy is the cold one.
        queue: task ids.
        predictions: by task id, by control; those that count, see `counting`.
        features: of those tasks that have any, under the first control's backbone.
        probabilities: [n, C] that the first control's learner gives those tasks; None: it has learnt nothing, or items do not
            have one class.
        known: what else strategies go by.
        members: [k, n, C] that each member, or each pass with dropout, gives those tasks; None: no strategy goes by them.
        seed: for strategies that draw.

    Raises:
        LearningError: there is no strategy of that name.
    """
    scores = {i: score_of(predictions[i], settings) if i in predictions else LAST for i in queue}
    if not features.ids:
        return scores
    doubts = [task_uncertainty(predictions[i], settings) if i in predictions else 1.0 for i in features.ids]
    uncertainty = np.clip(np.nan_to_num(np.array(doubts), nan=1.0), 0.0, 1.0) if predictions else None
    pool = Pool(
        features.features,
        uncertainty,
        known.features,
        probabilities,
        members,
        labels=known.labels,
        classes=known.classes,
        skill=known.skill,
        batch=known.batch,
        remembered=known.remembered,
    )
    strategy = strategy_for(pool, order, settings.cold_strategy, settings.cold_labels_per_class)
    places = strategy.order(pool, seed, balance=settings.balance, apart=settings.apart)
    given = rank_scores(places) if uncertainty is None else scores_along(places, uncertainty)
    scores.update(zip(features.ids, given.tolist(), strict=True))
    return scores

"""Gives every task of the queue its score: lower is served sooner."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labelloop.labelstudio import parse_label_config
from labelloop.learning import STRATEGIES, ClassificationLearner, Pool, rank_scores
from labelloop.records import Control, Prediction
from labelloop.service.embedding import Embedded
from labelloop.service.versions import LearnerRecord

UNCERTAINTIES = frozenset({"margin", "least_confidence", "entropy"})
LAST = 1.0
"""Score of a task no model can read: it is served when all others are done."""


def predict_all(
    learners: Mapping[str, ClassificationLearner], embedded: Mapping[str, Embedded]
) -> dict[int, dict[str, Prediction]]:
    """What each control's learner says of each task that has its features."""
    predictions: dict[int, dict[str, Prediction]] = {}
    for control, learner in learners.items():
        found = embedded[control]
        for task_id, prediction in zip(found.ids, learner.predict(found.features) if found.ids else [], strict=True):
            predictions.setdefault(task_id, {})[control] = prediction
    return predictions


def task_uncertainty(predictions: Mapping[str, Prediction]) -> float:
    """A task is as uncertain as the most uncertain of its controls."""
    return max(prediction.uncertainty for prediction in predictions.values())


def score_of(predictions: Mapping[str, Prediction]) -> float:
    """Label Studio's score: 1 - uncertainty, in [0, 1]."""
    return float(min(1.0, max(0.0, 1.0 - task_uncertainty(predictions))))


def worth_showing(
    controls: Iterable[Control], predictions: Mapping[str, Prediction], threshold: float
) -> list[tuple[Control, Prediction]]:
    """What annotators are to see of a task: what each control has a class for, and is at least as confident as the threshold.

    A class that the config has lost since the training would be refused by Label Studio, or worse, shown.
    """
    said = [(control, predictions[control.name]) for control in controls if control.name in predictions]
    return [(c, p) for c, p in said if p.confidence >= threshold and p.label in c.labels]


def still_asked_for(learners: Iterable[LearnerRecord], label_config: str) -> dict[str, Control]:
    """The controls of a version's learners that the config still has, as they are now, by name.

    Raises:
        LabelConfigError: the config cannot be read.
    """
    now = {control.name: control for control in parse_label_config(label_config).controls}
    trained = [record.control for record in learners if record.control.name in now]
    kinds = {control.name: (control.tag, control.modality) for control in trained}
    return {name: now[name] for name, kind in kinds.items() if (now[name].tag, now[name].modality) == kind}


def score_queue(
    order: str,
    queue: Sequence[int],
    predictions: Mapping[int, Mapping[str, Prediction]],
    queue_features: Embedded,
    labelled_features: NDArray[np.float32],
    seed: int = 0,
) -> dict[int, float]:
    """Score the queue by a strategy.

    An uncertainty gives 1 - uncertainty; any other strategy a rank spread over [0, 1]. What has no features comes last.

    Args:
        order: name of the strategy.
        queue: task ids.
        predictions: by task id, by control.
        queue_features: features of those that have any, for strategies that look at them.
        labelled_features: float32 [m, d], features of labelled tasks, which the queue need not cover again.
        seed: for strategies that draw.
    """
    scores = dict.fromkeys(queue, LAST)
    if order in UNCERTAINTIES and predictions:
        scores.update({task_id: score_of(predictions[task_id]) for task_id in queue if task_id in predictions})
        return scores
    if queue_features.ids:
        uncertainty = np.array(
            [task_uncertainty(predictions[i]) if i in predictions else 1.0 for i in queue_features.ids],
            dtype=np.float64,
        )
        pool = Pool(features=queue_features.features, uncertainty=uncertainty, labelled=labelled_features)
        ranks = rank_scores(STRATEGIES[order].order(pool, seed))
        scores.update({task_id: float(rank) for task_id, rank in zip(queue_features.ids, ranks, strict=True)})
    return scores

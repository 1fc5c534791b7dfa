"""The learner of a control whose answer is boxes: a small head on cached maps."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.boxes.decoding import Candidates, decode
from labelloop.learning.boxes.figures import Judged, figures
from labelloop.learning.boxes.fitting import fit_head
from labelloop.learning.boxes.grids import cells_for, image_size, read_grid
from labelloop.learning.boxes.head import BoxHead
from labelloop.learning.boxes.lessons import Truth
from labelloop.learning.boxes.scoring import Scoring, fit_scoring
from labelloop.learning.figures import Figures
from labelloop.learning.learner import Reads, Training
from labelloop.learning.threads import one_thread
from labelloop.records import Box, BoxesPrediction, BoxesTarget
from labelloop.records.geometry import hulls

FOLDS: Final = 2
# Fewer images with a box are all needed for training.
LEAST_FOR_FOLDS: Final = 4
# Heads that are trained at once; more would take other work's processors.
SIDE_BY_SIDE: Final = 2


class BoxesLearner:
    """Finds boxes by their centres on the maps of a frozen backbone (CenterNet, Zhou et al., 2019; TTFNet, Liu et al., 2020).

    Boxes that people turned are learnt as their upright hulls. Training needs torch; predicting needs numpy alone.

    Attributes:
        classes: every class of the control, in the config's order; one without a box is never found.
        scoring: what the head's logits are worth, and what is shown.
        cv_metrics: how heads trained on a half of the images fare on the other; None where images with a box are too few.
    """

    kind: ClassVar[str] = "boxes"
    reads: ClassVar[Reads] = Reads.DENSE

    def __init__(
        self,
        classes: Sequence[str],
        seen: Ints,
        cells: int,
        head: BoxHead,
        scoring: Scoring,
        cv_metrics: Figures | None,
    ) -> None:
        self.classes = tuple(classes)
        self.scoring = scoring
        self.cv_metrics = cv_metrics
        self._seen = seen
        self._cells = cells
        self._head = head

    @classmethod
    def train(cls, training: Training) -> "BoxesLearner":
        """Train on labelled images; those that could not be decoded are left out.

        Raises:
            NotEnoughLabels: no image has a box of a class there is.
            LearningError: the maps do not go together.
        """
        items = _usable(training.inputs, training.targets)
        seen = _seen([target for _, target in items], training.classes)
        labels = [training.classes[i] for i in seen]
        truths = [_truth(dense, target, labels) for dense, target in items]
        if not any(truth.columns.size for truth in truths):
            raise NotEnoughLabels(f"None of the {len(items)} labelled images has a box yet; draw one in an image.")
        cells = cells_for(np.concatenate([truth.corners for truth in truths]))
        images = [
            _Image(read_grid(dense, cells), truth, image_size(dense))
            for (dense, _), truth in zip(items, truths, strict=True)
        ]
        if len({image.grid.shape for image in images}) > 1:
            raise LearningError("Maps of several sizes do not go together; were they made by several backbones?")
        seed = training.options.seed
        part = _parts(truths, seed)
        head, *others = _heads(images, part, len(labels), seed)
        tested = [
            (_find(others[number], image.grid), image) for number, image in zip(part, images, strict=True) if others
        ]
        scoring = fit_scoring([found for found, _ in tested], [image.truth for _, image in tested])
        judged = [_judged(scoring, found, image) for found, image in tested]
        metrics = figures(judged, labels, "cross-validation", seed) if judged else None
        return cls(training.classes, seen, cells, head, scoring, metrics)

    def predict(self, inputs: Sequence[Dense]) -> list[BoxesPrediction]:
        """The boxes in each image; those shown alone, while the uncertainty is of all that may be there.

        Raises:
            LearningError: there are no maps of an image, or they are not like those it was trained on.
        """
        return [self._prediction(dense) for dense in inputs]

    def evaluate(self, inputs: Sequence[Dense], targets: Sequence[BoxesTarget]) -> Figures:
        """mAP50 and more on labelled images it was not trained on; boxes of classes that it has never seen count as missed.

        Raises:
            NotEnoughLabels: no image has a box.
        """
        return figures(self._judge(_usable(inputs, targets)), self.classes, "holdout")

    def quality(self, inputs: Sequence[Dense], targets: Sequence[BoxesTarget]) -> Floats:
        """F1 of the boxes shown in each image at an overlap of half, float64 [n]; 1 where there are none and none are shown."""
        return np.array([one.f1() for one in self._judge(list(zip(inputs, targets, strict=True)))])

    def probabilities(self, inputs: Sequence[Dense]) -> None:
        """None: an image has not one class."""
        return

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        return {"seen": self._seen, **self._head.arrays, **self.scoring.arrays()}

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "cells": self._cells,
            "scoring": self.scoring.to_json(),
            "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "BoxesLearner":
        """Restore what `arrays` and `meta` gave."""
        scoring = Scoring.restore(arrays, meta["scoring"])
        others = {"seen", *scoring.arrays()}
        head = BoxHead({name: array for name, array in arrays.items() if name not in others})
        metrics = Figures.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None
        return cls(meta["classes"], arrays["seen"], meta["cells"], head, scoring, metrics)

    def _find(self, dense: Dense) -> Candidates:
        found = _find(self._head, read_grid(dense, self._cells))
        return Candidates(found.corners, self._seen[found.columns], found.logits)

    def _prediction(self, dense: Dense) -> BoxesPrediction:
        found = self._find(dense)
        scores = self.scoring.scores(found)
        rows = range(self.scoring.shown(scores))
        height, width = image_size(dense)
        return BoxesPrediction(
            boxes=tuple(_box(self.classes[found.columns[row]], found.corners[row], float(scores[row])) for row in rows),
            confidence=self.scoring.confidence(scores),
            uncertainty=self.scoring.uncertainty(scores),
            height=height,
            width=width,
        )

    def _judge(self, items: Sequence[tuple[Dense, BoxesTarget]]) -> list[Judged]:
        images = [(dense, _truth(dense, target, self.classes)) for dense, target in items]
        return [
            _judged(self.scoring, self._find(dense), _Image(np.zeros(0), truth, image_size(dense)))
            for dense, truth in images
        ]


@dataclass(frozen=True, slots=True)
class _Image:
    """A labelled image: the grid of its maps, its boxes, its height and width in pixels."""

    grid: Floats
    truth: Truth
    size: tuple[int, int]


def _usable(inputs: Sequence[Dense], targets: Sequence[BoxesTarget]) -> list[tuple[Dense, BoxesTarget]]:
    if len(inputs) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for the maps of {len(inputs)} images.")
    return [(dense, target) for dense, target in zip(inputs, targets, strict=True) if dense.values.size]


def _seen(targets: Sequence[BoxesTarget], classes: Sequence[str]) -> Ints:
    """The numbers of the classes that have a box, int64 [C]."""
    drawn = {label for target in targets for label in target.classes}
    return np.array([number for number, label in enumerate(classes) if label in drawn], dtype=np.int64)


def _truth(dense: Dense, target: BoxesTarget, labels: Sequence[str]) -> Truth:
    """The boxes of classes there are, as upright hulls within the image; what has no area is left out."""
    height, width = image_size(dense)
    boxes = [box for box in target.boxes if box.label in labels]
    corners = hulls(boxes, width / height)
    columns = np.array([labels.index(box.label) for box in boxes], dtype=np.int64)
    real = np.isfinite(corners).all(axis=1) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
    return Truth(corners[real], columns[real], target.weight)


def _heads(images: Sequence[_Image], part: Ints, classes: int, seed: int) -> list[BoxHead]:
    """A head trained on all images, then one for each part that was trained on the others; none where too few have a box.

    They are trained side by side, each on one processor.
    """
    lessons = [(list(images), 1.0)]
    if sum(image.truth.columns.size > 0 for image in images) >= LEAST_FOR_FOLDS:
        for number in range(FOLDS):
            lessons.append(([image for image, own in zip(images, part, strict=True) if own != number], 1 / FOLDS))

    def fit(lesson: tuple[list[_Image], float]) -> BoxHead:
        chosen, share = lesson
        return fit_head([image.grid for image in chosen], [image.truth for image in chosen], classes, seed, share)

    # The threads' own limits end one after the other, and the numerical libraries' is the process's: this one outlasts them.
    with one_thread(), ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        return list(threads.map(fit, lessons))


def _parts(truths: Sequence[Truth], seed: int) -> Ints:
    """A part for each image; images of the same classes are dealt out in turn, so that each part has some of all."""
    order = np.random.default_rng(seed).permutation(len(truths))
    kinds = [tuple(np.unique(truths[i].columns).tolist()) for i in order]
    part = np.empty(len(truths), dtype=np.int64)
    part[order[sorted(range(len(order)), key=lambda i: (-len(kinds[i]), kinds[i]))]] = np.arange(len(truths)) % FOLDS
    return part


def _find(head: BoxHead, grid: Floats) -> Candidates:
    return decode(*head(grid), head.scales)


def _judged(scoring: Scoring, found: Candidates, image: _Image) -> Judged:
    scores = scoring.scores(found)
    return Judged(image.truth, found, scores, scoring.shown(scores), image.size)


def _box(label: str, corners: Floats, score: float) -> Box:
    left, top, right, bottom = corners.tolist()
    return Box(label, left, top, right - left, bottom - top, score=score)

"""The learner of a control whose answer is boxes: a small head on cached maps."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.backbones.dense import Dense, decoded, decoded_pairs
from labelloop.learning.boxes.answering import AnswersBoxes, judged, seen_among
from labelloop.learning.boxes.decoding import Candidates, decode
from labelloop.learning.boxes.figures import figures
from labelloop.learning.boxes.fitting import fit_head
from labelloop.learning.boxes.grids import Grids, cells_for, image_size, read_grid
from labelloop.learning.boxes.head import BoxHead
from labelloop.learning.boxes.lessons import Truth, truth_of
from labelloop.learning.boxes.scoring import Scoring, fit_scoring
from labelloop.learning.figures import Figures
from labelloop.learning.folds import deal_out, to_judge, with_each_left_out
from labelloop.learning.learner import Reads, Training
from labelloop.learning.threads import one_thread

FOLDS: Final = 2
# Fewer different images with a box are all needed for training.
LEAST_FOR_FOLDS: Final = 4


class BoxesLearner(AnswersBoxes):
    """Finds boxes by their centres on the maps of a frozen backbone (CenterNet, Zhou et al., 2019; TTFNet, Liu et al., 2020).

    Boxes that people turned are learnt as their upright hulls. Training needs torch; predicting needs numpy alone.

    Attributes:
        classes: every class of the control, in the config's order; one without a box is never found.
        scoring: what the head's logits are worth, and what is shown.
        cv_metrics: how heads trained on a half of the images fare on the other, in which each group of near-duplicates counts once;
            None where images with a box are too few.
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
        items = decoded_pairs(training.inputs, training.targets)
        seen = seen_among([target for _, target in items], training.classes)
        labels = [training.classes[i] for i in seen]
        truths = [truth_of(target, labels, *image_size(dense)) for dense, target in items]
        if not any(truth.columns.size for truth in truths):
            raise NotEnoughLabels(f"None of the {len(items)} labelled images has a box yet; draw one in an image.")
        cells = cells_for(np.concatenate([truth.corners for truth in truths]))
        grids = Grids.of([dense for dense, _ in items], cells)
        if len({grid.shape for grid in grids}) > 1:
            raise LearningError("Maps of several sizes do not go together; were they made by several backbones?")
        seed = training.options.seed
        groups = training.grouped()[decoded(training.inputs)]
        fold = deal_out([tuple(np.unique(truth.columns).tolist()) for truth in truths], FOLDS, seed, groups)
        head, *others = _heads(grids, truths, fold, groups, len(labels), seed)
        judges = np.flatnonzero(to_judge(groups)).tolist() if others else []
        with one_thread():
            found = [_find(others[fold[place]], grids[place]) for place in judges]
            scoring = fit_scoring(found, [truths[place] for place in judges])
        known = [
            judged(scoring, one, truths[place], image_size(items[place][0]))
            for one, place in zip(found, judges, strict=True)
        ]
        metrics = figures(known, labels, "cross-validation", seed) if known else None
        return cls(training.classes, seen, cells, head, scoring, metrics)

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


def _heads(grids: Grids, truths: Sequence[Truth], fold: Ints, groups: Ints, classes: int, seed: int) -> list[BoxHead]:
    """A head trained on all images, then one for each fold that was trained on the others; none where too few have a box.

    They are trained side by side, each on one processor.
    """
    enough = np.unique(groups[[truth.columns.size > 0 for truth in truths]]).size >= LEAST_FOR_FOLDS

    def fit(rows: list[int], share: float, seed: int) -> BoxHead:
        return fit_head(grids.take(rows), [truths[row] for row in rows], classes, seed, share)

    return with_each_left_out(fit, fold, FOLDS if enough else 0, 1 / FOLDS, [seed])


def _find(head: BoxHead, grid: Floats) -> Candidates:
    return decode(*head(grid), head.scales)

"""What every learner of boxes does with the candidates that it finds in an image."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.dense import Dense, decoded_pairs
from labelloop.learning.boxes.decoding import Candidates
from labelloop.learning.boxes.figures import Judged, figures
from labelloop.learning.boxes.grids import image_size
from labelloop.learning.boxes.lessons import Truth, truth_of
from labelloop.learning.boxes.scoring import Scoring
from labelloop.learning.figures import Figures
from labelloop.learning.threads import one_thread
from labelloop.records import Box, BoxesPrediction, BoxesTarget


class AnswersBoxes(ABC):
    """Predicts and is judged by the candidates of each image; how they are found is each learner's own.

    Attributes:
        classes: every class of the control, in the config's order.
        scoring: what a candidate's logit is worth, and what is shown.
        cv_metrics: how good it is on images that it has not learnt from; None where they are too few.
    """

    classes: tuple[str, ...]
    scoring: Scoring
    cv_metrics: Figures | None

    def predict(self, inputs: Sequence[Dense]) -> list[BoxesPrediction]:
        """The boxes in each image; those shown alone, while the uncertainty is of all that may be there.

        Raises:
            LearningError: there are no features of an image, or they are not like those it was trained on.
        """
        with one_thread():
            return [self._prediction(dense) for dense in inputs]

    def evaluate(self, inputs: Sequence[Dense], targets: Sequence[BoxesTarget]) -> Figures:
        """mAP50 and more on labelled images it was not trained on; boxes of classes that it has never seen count as missed.

        Raises:
            NotEnoughLabels: no image has a box.
        """
        with one_thread():
            return figures(self._judge(decoded_pairs(inputs, targets)), self.classes, "holdout")

    def quality(self, inputs: Sequence[Dense], targets: Sequence[BoxesTarget]) -> Floats:
        """F1 of the boxes shown in each image at an overlap of half, float64 [n]; 1 where there are none and none are shown."""
        with one_thread():
            return np.array([one.f1() for one in self._judge(list(zip(inputs, targets, strict=True)))])

    def probabilities(self, inputs: Sequence[Dense]) -> None:
        """None: an image has not one class."""
        return

    @abstractmethod
    def _find(self, dense: Dense) -> Candidates:
        """What may be in an image; columns are places among `classes`."""

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
        return [
            judged(
                self.scoring,
                self._find(dense),
                truth_of(target, self.classes, *image_size(dense)),
                image_size(dense),
            )
            for dense, target in items
        ]


def judged(scoring: Scoring, found: Candidates, truth: Truth, size: tuple[int, int]) -> Judged:
    """An image of that height and width with what was found in it and what of it is shown."""
    scores = scoring.scores(found)
    return Judged(truth, found, scores, scoring.shown(scores), size)


def seen_among(targets: Sequence[BoxesTarget], classes: Sequence[str]) -> Ints:
    """The numbers of the classes that have a box, int64 [C]."""
    drawn = {label for target in targets for label in target.classes}
    return np.array([number for number, label in enumerate(classes) if label in drawn], dtype=np.int64)


def _box(label: str, corners: Floats, score: float) -> Box:
    left, top, right, bottom = corners.tolist()
    return Box(label, left, top, right - left, bottom - top, score=score)

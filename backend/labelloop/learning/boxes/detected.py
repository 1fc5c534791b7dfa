"""The learner of a control whose answer is boxes, on a detector that finds them itself."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import NotEnoughLabels
from labelloop.learning.arrays import Array
from labelloop.learning.backbones.dense import Dense, decoded, decoded_pairs
from labelloop.learning.backbones.detections import read_detections
from labelloop.learning.boxes.answering import AnswersBoxes, judged
from labelloop.learning.boxes.decoding import Candidates, uncovered
from labelloop.learning.boxes.figures import figures
from labelloop.learning.boxes.grids import image_size
from labelloop.learning.boxes.lessons import truth_of
from labelloop.learning.boxes.naming import columns_by_name, to_columns
from labelloop.learning.boxes.scoring import Scoring, fit_scoring
from labelloop.learning.figures import Figures
from labelloop.learning.folds import to_judge
from labelloop.learning.learner import Reads, Training
from labelloop.learning.threads import one_thread

# Fewer images with a box say little of how good a detector is.
LEAST_JUDGED: Final = 4


class DetectedBoxesLearner(AnswersBoxes):
    """Takes a detector's own boxes under the control's labels, and learns what its scores are worth.

    That is learnt on labelled images that the detector has not learnt from: those that decided when to stop, and those labelled
    since. Where they are too few its scores are taken at their word, so that a detector whose classes are among the labels, by
    name or as `TrainingOptions.synonyms` says, pre-annotates before anything is labelled.

    Attributes:
        cv_metrics: how good it is on the labelled images of whose like the detector has not learnt, each group of near-duplicates
            counting once; None where fewer than four of them have a box.
    """

    kind: ClassVar[str] = "detected-boxes"
    reads: ClassVar[Reads] = Reads.DENSE

    def __init__(
        self, classes: Sequence[str], columns: Mapping[int, int], scoring: Scoring, cv_metrics: Figures | None
    ) -> None:
        self.classes = tuple(classes)
        self.scoring = scoring
        self.cv_metrics = cv_metrics
        self._columns = dict(columns)

    @classmethod
    def train(cls, training: Training) -> "DetectedBoxesLearner":
        """Learn what the scores are worth, of any number of labelled images, none too.

        Raises:
            NotEnoughLabels: the detector finds nothing in any of the labelled images.
            LearningError: what was read are no detections.
        """
        items = decoded_pairs(training.inputs, training.targets)
        found = [read_detections(dense) for dense, _ in items]
        if found and not any(one.names.size for one in found):
            raise NotEnoughLabels(
                f"The detector finds nothing in any of the {len(found)} labelled images; name another."
            )
        fresh = to_judge(
            training.grouped()[decoded(training.inputs)], np.array([one.taught for one in found], dtype=bool)
        )
        unseen = [items[place] for place in np.flatnonzero(fresh)]
        learner = cls(
            training.classes, columns_by_name(training.classes, training.options.synonyms), Scoring.unfitted(), None
        )
        candidates = [learner._find(dense) for dense, _ in unseen]
        truths = [truth_of(target, learner.classes, *image_size(dense)) for dense, target in unseen]
        with one_thread():
            learner.scoring = fit_scoring(candidates, truths)
        if sum(truth.columns.size > 0 for truth in truths) >= LEAST_JUDGED:
            known = [
                judged(learner.scoring, one, truth, image_size(dense))
                for one, truth, (dense, _) in zip(candidates, truths, unseen, strict=True)
            ]
            learner.cv_metrics = figures(known, learner.classes, "cross-validation", training.options.seed)
        return learner

    def arrays(self) -> dict[str, Array]:
        """What names mean and scores are worth, ready for safetensors."""
        names, columns = list(self._columns), list(self._columns.values())
        return {
            "names": np.array(names, dtype=np.int64),
            "columns": np.array(columns, dtype=np.int64),
            **self.scoring.arrays(),
        }

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "scoring": self.scoring.to_json(),
            "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "DetectedBoxesLearner":
        """Restore what `arrays` and `meta` gave."""
        columns = dict(zip(arrays["names"].tolist(), arrays["columns"].tolist(), strict=True))
        metrics = Figures.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None
        return cls(meta["classes"], columns, Scoring.restore(arrays, meta["scoring"]), metrics)

    def _find(self, dense: Dense) -> Candidates:
        """Detections of classes that mean a label, less those that a more probable one of the same label covers."""
        found = read_detections(dense)
        columns = to_columns(found.names, self._columns)
        # A box without an area is none.
        real = (columns >= 0) & (found.corners[:, 2:] > found.corners[:, :2]).all(axis=1) & np.isfinite(found.logits)
        corners, columns, logits = found.corners[real], columns[real], found.logits[real]
        kept = uncovered(corners, columns)
        return Candidates(corners[kept], columns[kept], logits[kept])

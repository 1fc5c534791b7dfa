"""From the head's logits to scores that mean what they say, what of it is shown, and how much to doubt it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Array, Floats
from labelloop.learning.boxes.decoding import Candidates
from labelloop.learning.boxes.lessons import Truth
from labelloop.learning.boxes.matching import hits
from labelloop.learning.calibrating import Reliability, choose_calibration
from labelloop.learning.calibration import Calibration, unfitted
from labelloop.learning.thresholds import best_threshold

# What is shown where too few images are labelled to find out, and how often an image without a shown box then holds one.
THRESHOLD: Final = 0.3
MISSED: Final = 0.5
# Fewer right or wrong candidates tell nothing of what a logit is worth.
LEAST: Final = 5


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a candidate's logit is worth.

    Attributes:
        calibration: gives the probability of a candidate to be right, of the logits (0, its logit).
        threshold: candidates that are as probable are shown, in [0, 1].
        missed: how often an image of which nothing is shown holds a box, in (0, 1).
        reliability: what the calibration does.
    """

    calibration: Calibration
    threshold: float
    missed: float
    reliability: Reliability

    def scores(self, found: Candidates) -> Floats:
        """The probability of each candidate to be right (a box of its class, overlapping by half), float64 [n] in [0, 1]."""
        logits = np.stack([np.zeros_like(found.logits), found.logits], axis=1)
        return self.calibration.probabilities(logits)[:, 1]

    def shown(self, scores: Floats) -> int:
        """How many candidates of an image are shown, the most probable being the first."""
        return int((scores >= self.threshold).sum())

    def nothing(self, scores: Floats) -> float:
        """How probable it is that an image of which nothing is shown holds nothing, in (0, 1)."""
        return float((1 - self.missed) * np.prod(1 - scores))

    def uncertainty(self, scores: Floats) -> float:
        """1 - the F1 to be expected of what is shown: 2 * right / (shown + all there are to find).

        Of calibrated scores, the sum over the boxes shown is how many of them are right, and the sum over all candidates how
        many there are to find; so both doubtful boxes and objects that were nearly shown count, in proportion to all of the
        image. Where nothing is shown, it is how probable it is that there is something.
        """
        shown = self.shown(scores)
        if not shown:
            return 1 - self.nothing(scores)
        return float(np.clip(1 - 2 * scores[:shown].sum() / (shown + scores.sum()), 0.0, 1.0))

    def confidence(self, scores: Floats) -> float:
        """Mean score of the boxes shown; of none, how sure it is that there is nothing."""
        shown = self.shown(scores)
        return float(scores[:shown].mean()) if shown else self.nothing(scores)

    def arrays(self) -> dict[str, Array]:
        """The calibration, ready for safetensors."""
        return self.calibration.arrays()

    def to_json(self) -> dict[str, Any]:
        """The rest as JSON values."""
        return {"threshold": self.threshold, "missed": self.missed, "calibration": self.reliability.to_json()}

    @classmethod
    def unfitted(cls) -> "Scoring":
        """Takes the logits at their word."""
        return cls(unfitted(2), THRESHOLD, MISSED, Reliability("none"))

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], value: Mapping[str, Any]) -> "Scoring":
        """Read what `arrays` and `to_json` gave."""
        reliability = Reliability.from_json(value["calibration"])
        calibration = Calibration.from_arrays(arrays, reliability.method)
        return cls(calibration, value["threshold"], value["missed"], reliability)


def fit_scoring(found: Sequence[Candidates], truths: Sequence[Truth]) -> Scoring:
    """Learn what logits are worth from images that the head was not trained on; of none nothing is learnt.

    The threshold is that of the best F1 over all their boxes.
    """
    right = np.concatenate([hits(one, truth) for one, truth in zip(found, truths, strict=True)] or [np.zeros(0, bool)])
    if min(right.sum(), (~right).sum()) < LEAST:
        return Scoring.unfitted()
    logits = np.concatenate([one.logits for one in found])
    pairs = np.stack([np.zeros_like(logits), logits], axis=1)
    calibration, reliability = choose_calibration(pairs, right.astype(np.int64), np.ones(len(right)))
    threshold = best_threshold(calibration.probabilities(pairs)[:, 1], right, sum(len(t.columns) for t in truths))
    fitted = Scoring(calibration, threshold, MISSED, reliability)
    silent = [truth for one, truth in zip(found, truths, strict=True) if not fitted.shown(fitted.scores(one))]
    # Laplace's rule of succession: a few silent images do not tell that there is never anything in one.
    missed = (sum(truth.columns.size > 0 for truth in silent) + 1) / (len(silent) + 2)
    return Scoring(calibration, threshold, missed, reliability)

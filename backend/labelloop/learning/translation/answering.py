"""What every learner of texts does with its suggestions: show them, and be judged by them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.figures import Figures
from labelloop.learning.translation.measuring import chrf_of_each, figures_of
from labelloop.records import TextPrediction, TextTarget

# A text that shares less with the right one than this is more work to mend than to write.
FLOOR: Final = 0.4


class AnswersTexts(ABC):
    """Suggests a text for each item, with the chrF it is expected to reach.

    That is an item's confidence, and its uncertainty 1 minus it; below an expected chrF of 0.4 the prediction's text is empty.
    """

    def predict(self, inputs: Any) -> list[TextPrediction]:
        """What is suggested for each of n items.

        Raises:
            LearningError: an item's features are not finite, or not as long as those learnt from.
        """
        texts, expected = self._suggest(inputs)
        return [
            TextPrediction(text if hope >= FLOOR else "", hope, 1 - hope)
            for text, hope in zip(texts, expected.tolist(), strict=True)
        ]

    def evaluate(self, inputs: Any, targets: Sequence[TextTarget]) -> Figures:
        """Compare with held-out answers what would be suggested, whether or not it would be shown.

        Raises:
            NotEnoughLabels: there is no item with finite features.
            LearningError: sacrebleu is not installed, or the parts do not go together.
        """
        usable, answers = self._usable(inputs, targets)
        texts, expected = self._suggest(usable)
        return figures_of(texts, answers, shown=expected >= FLOOR, expected=expected, source="holdout")

    def quality(self, inputs: Any, targets: Sequence[TextTarget]) -> Floats:
        """Sentence chrF of what would be suggested for each item, float64 [n] in [0, 1]; 0 for one without finite features."""
        quality = np.zeros(len(targets))
        usable, answers = self._usable(inputs, targets)
        quality[self._finite(inputs)] = chrf_of_each(self._suggest(usable)[0], answers)
        return quality

    def probabilities(self, inputs: Any) -> None:
        """None: an answer is no class."""
        return

    @abstractmethod
    def _suggest(self, inputs: Any) -> tuple[list[str], Floats]:
        """The best text for each item, shown or not, and its expected chrF float64 [n]."""

    @staticmethod
    @abstractmethod
    def _finite(inputs: Any) -> Bools:
        """bool [n], whether each item has finite features."""

    @classmethod
    def _usable(cls, inputs: Any, targets: Sequence[TextTarget]) -> tuple[Any, list[TextTarget]]:
        """The items with finite features, and their targets.

        Raises:
            LearningError: there are not as many targets as items.
        """
        if len(inputs) != len(targets):
            raise LearningError(f"There are {len(targets)} targets for {len(inputs)} rows of features.")
        finite = cls._finite(inputs)
        kept = inputs[finite] if isinstance(inputs, np.ndarray) else [inputs[i] for i in np.flatnonzero(finite)]
        return kept, [target for target, is_kept in zip(targets, finite, strict=True) if is_kept]

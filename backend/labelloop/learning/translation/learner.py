"""The quick learner of texts: what people answered to the most similar item, and how far that is likely to fit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Bools, Floats, Ints
from labelloop.learning.figures import Figures
from labelloop.learning.learner import Reads, Training
from labelloop.learning.scaling import centre_of
from labelloop.learning.threads import one_thread
from labelloop.learning.translation.expectation import Expectation
from labelloop.learning.translation.measuring import chrf_of_each, figures_of, require_sacrebleu
from labelloop.learning.translation.memory import Found, Memory, finite_rows
from labelloop.records import TextPrediction, TextTarget

# Answers below which nothing can be said of how far one fits another item.
MINIMUM: Final = 5
# A text that shares less with the right one than this is more work to mend than to write.
FLOOR: Final = 0.4
# Answers that quality is learnt from; more would cost seconds and teach four numbers little.
JUDGED: Final = 1000
FOLDS: Final = 5
# Weight of what the farther half of the memory suggests: it teaches what to expect where nothing near is answered yet.
FAR: Final = 0.5


class TextLearner:
    """A translation memory: suggests the answer to the nearest answered item, by the cosine of their features.

    Each answered item is forgotten in turn, and the chrF of what the others would suggest for it teaches what chrF to expect of
    a suggestion, from how close its source is, how much closer than the next, and how far the neighbours' answers agree; so
    does, at half weight, what they suggest when the nearer half of them is forgotten as well. An item's confidence is that
    expectation, and its uncertainty 1 minus it. Below an expected chrF of 0.4 the prediction's text is empty. Training and
    judging need sacrebleu; predicting needs numpy alone.

    Attributes:
        cv_metrics: how the memory fares on each answered item when it is forgotten.
    """

    kind: ClassVar[str] = "text"
    reads: ClassVar[Reads] = Reads.ROWS

    def __init__(self, memory: Memory, expectation: Expectation, cv_metrics: Figures | None) -> None:
        self.cv_metrics = cv_metrics
        self._memory = memory
        self._expectation = expectation

    @classmethod
    def train(cls, training: Training) -> "TextLearner":
        """Remember the answers.

        Raises:
            NotEnoughLabels: fewer than five items are answered and have finite features.
            LearningError: sacrebleu is not installed, or the arrays do not go together.
        """
        require_sacrebleu()
        rows, targets = usable(training.inputs, training.targets)
        if len(targets) < MINIMUM:
            raise NotEnoughLabels(
                f"A translation memory needs {MINIMUM} answered items; there are {len(targets)}. Answer some more."
            )
        memory = Memory.of(rows, [target.texts[0] for target in targets], _centre(rows, training.unlabelled))
        weights = np.array([target.weight for target in targets], dtype=np.float64)
        with one_thread():
            expectation, cv_metrics = learn_expectation(memory, targets, weights, training.options.seed)
        return cls(memory, expectation, cv_metrics)

    def predict(self, inputs: Floats) -> list[TextPrediction]:
        """What the memory suggests for each row of features [n, d].

        Raises:
            LearningError: a row is not finite, or not as long as those remembered.
        """
        found = self._memory.find(inputs)
        expected = self._expectation.of(found.signals).tolist()
        texts = [
            self._memory.texts[place] if hope >= FLOOR else ""
            for place, hope in zip(found.nearest, expected, strict=True)
        ]
        return [TextPrediction(text, hope, 1 - hope) for text, hope in zip(texts, expected, strict=True)]

    def evaluate(self, inputs: Floats, targets: Sequence[TextTarget]) -> Figures:
        """Compare with held-out answers what is nearest, whether or not it would be shown.

        Raises:
            NotEnoughLabels: there is no item with finite features.
            LearningError: sacrebleu is not installed, or the arrays do not go together.
        """
        rows, targets = usable(inputs, targets)
        found = self._memory.find(rows)
        expected = self._expectation.of(found.signals)
        return figures_of(self._texts(found), targets, shown=expected >= FLOOR, expected=expected, source="holdout")

    def quality(self, inputs: Floats, targets: Sequence[TextTarget]) -> Floats:
        """Sentence chrF of what is nearest to each item, float64 [n] in [0, 1]; 0 for an item without finite features."""
        quality, finite = np.zeros(len(targets)), finite_rows(inputs)
        rows, kept = usable(inputs, targets)
        quality[finite] = chrf_of_each(self._texts(self._memory.find(rows)), kept)
        return quality

    def probabilities(self, inputs: Floats) -> None:
        """None: an answer is no class."""
        return

    def arrays(self) -> dict[str, Array]:
        """The memory and what is expected of it, ready for safetensors."""
        return {**self._memory.arrays(), **self._expectation.arrays("expectation")}

    def meta(self) -> dict[str, Any]:
        """The rest, as JSON values."""
        return {"kind": self.kind, "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "TextLearner":
        """Restore what `arrays` and `meta` gave."""
        cv_metrics = Figures.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None
        return cls(Memory.from_arrays(arrays), Expectation.from_arrays(arrays, "expectation"), cv_metrics)

    def _texts(self, found: Found) -> list[str]:
        return [self._memory.texts[place] for place in found.nearest]


def usable(features: Floats, targets: Sequence[TextTarget]) -> tuple[Floats, list[TextTarget]]:
    """The finite rows of features [n, d] and their targets.

    Raises:
        LearningError: there are not as many targets as rows.
    """
    if len(features) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for {len(features)} rows of features.")
    finite = finite_rows(features)
    return features[finite], [target for target, kept in zip(targets, finite, strict=True) if kept]


def learn_expectation(
    memory: Memory, targets: Sequence[TextTarget], weights: Floats, seed: int
) -> tuple[Expectation, Figures]:
    """What chrF to expect of a memory's suggestions, and how it fares on its own items, each forgotten in turn.

    Args:
        memory: of at least three items.
        targets: of its items.
        weights: [N], how much each item counts.
        seed: decides which items are judged where there are very many.
    """
    places = np.sort(np.random.default_rng(seed).permutation(len(targets))[:JUDGED])
    answers, counts = [targets[place] for place in places], weights[places]
    near, near_texts, near_quality = _suggested(memory, answers, places, far=False)
    far, _, far_quality = _suggested(memory, answers, places, far=True)
    start = starting_at(near_quality, near.shape[1])

    def fit(rows: Bools) -> Expectation:
        signals, quality = (
            np.concatenate([near[rows], far[rows]]),
            np.concatenate([near_quality[rows], far_quality[rows]]),
        )
        return Expectation.fit(signals, quality, np.concatenate([counts[rows], FAR * counts[rows]]), start)

    expected = _cross_fitted(fit, near)
    figures = figures_of(near_texts, answers, shown=expected >= FLOOR, expected=expected, source="cross-validation")
    return fit(np.ones(len(places), dtype=bool)), figures


def _suggested(
    memory: Memory, answers: Sequence[TextTarget], places: Ints, *, far: bool
) -> tuple[Floats, list[str], Floats]:
    """Signals, texts and their quality, of what the rest of the memory suggests for some of its items."""
    found = memory.find_among_others(places, far=far)
    texts = [memory.texts[place] for place in found.nearest]
    return found.signals, texts, chrf_of_each(texts, answers)


def starting_at(quality: Floats, signals: int) -> Floats:
    """Weights [signals + 1] that expect the mean quality of everything."""
    mean = float(np.clip(quality.mean() if quality.size else 0.5, 0.02, 0.98))
    return np.append(np.zeros(signals), np.log(mean / (1 - mean)))


def _cross_fitted(fit: Callable[[Bools], Expectation], signals: Floats) -> Floats:
    """What is expected of each item by what the other fifths teach."""
    fold: Ints = np.arange(len(signals)) % FOLDS
    expected = np.zeros(len(signals))
    for number in np.unique(fold):
        expected[fold == number] = fit(fold != number).of(signals[fold == number])
    return expected


def _centre(rows: Floats, unlabelled: Floats | None) -> Floats:
    """The middle of all items there are: that of a few answered ones alone would lie wherever they happen to."""
    if unlabelled is None or not len(unlabelled):
        return centre_of(rows)
    pool = np.asarray(unlabelled)
    return centre_of(np.concatenate([rows, pool[finite_rows(pool)]]))

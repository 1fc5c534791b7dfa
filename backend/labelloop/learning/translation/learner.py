"""The quick learner of texts: what people answered to the most similar item, and how far that is likely to fit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import NotEnoughLabels
from labelloop.learning.arrays import Array, Bools, Floats, Ints
from labelloop.learning.figures import Figures
from labelloop.learning.folds import to_judge
from labelloop.learning.learner import Reads, Training
from labelloop.learning.scaling import centre_of
from labelloop.learning.threads import one_thread
from labelloop.learning.translation.answering import FLOOR, AnswersTexts
from labelloop.learning.translation.expectation import Expectation
from labelloop.learning.translation.measuring import MEASURED, chrf_of_each, figures_of, require_sacrebleu
from labelloop.learning.translation.memory import LEAST_OTHERS, Memory, finite_rows
from labelloop.records import TextTarget

# Answers below which nothing can be said of how far one fits another item.
MINIMUM: Final = 5
# Answers that quality is learnt from; more would cost seconds and teach four numbers little.
JUDGED: Final = 1000
# And their characters: each takes microseconds to compare, three times over.
JUDGED_CHARACTERS: Final = 500_000
FOLDS: Final = 5
# Weight of what the farther half of the memory suggests: it teaches what to expect where nothing near is answered yet.
FAR: Final = 0.5


class TextLearner(AnswersTexts):
    """A translation memory: suggests the answer to the nearest answered item, by the cosine of their features.

    Each answered item is forgotten in turn, and the chrF of what the others would suggest for it teaches what chrF to expect of
    a suggestion, from how close its source is, how much closer than the next, and how far the neighbours' answers agree; so
    does, at half weight, what they suggest when the nearer half of them is forgotten as well. Training and judging need
    sacrebleu; predicting needs numpy alone.

    Attributes:
        cv_metrics: how the memory of one item of each group of near-duplicates fares on each of them when it is forgotten; None
            where fewer than five items are so different.
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
        rows, targets = cls._usable(training.inputs, training.targets)
        if len(targets) < MINIMUM:
            raise NotEnoughLabels(
                f"A translation memory needs {MINIMUM} answered items; there are {len(targets)}. Answer some more."
            )
        memory = Memory.of(rows, [target.texts[0] for target in targets], middle_of(rows, training.unlabelled))
        weights = np.array([target.weight for target in targets], dtype=np.float64)
        with one_thread():
            groups = training.grouped()[finite_rows(training.inputs)]
            expectation, cv_metrics = learn_expectation(memory, targets, weights, groups, training.options.seed)
        return cls(memory, expectation, cv_metrics)

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

    def _suggest(self, inputs: Floats) -> tuple[list[str], Floats]:
        found = self._memory.find(inputs)
        return [self._memory.texts[place] for place in found.nearest], self._expectation.of(found.signals)

    @staticmethod
    def _finite(inputs: Floats) -> Bools:
        return finite_rows(inputs)


def learn_expectation(
    memory: Memory, targets: Sequence[TextTarget], weights: Floats, groups: Ints, seed: int
) -> tuple[Expectation, Figures | None]:
    """What chrF to expect of a memory's suggestions, and how it fares on its own items, each forgotten in turn.

    Of items of the same source only the first is looked at, or its copies would tell how well it is answered. Near-duplicates
    teach what to expect where something as near is answered, but the figures are of one of each group.

    Args:
        memory: of at least five items.
        targets: of its items.
        weights: [N], how much each item counts.
        groups: int [N], the number of each item's group of near-duplicates.
        seed: decides which items are judged where there are very many.

    Returns:
        What to expect, and the figures; None where fewer than five items are no near-duplicates of each other.
    """
    different = memory.different()
    expectation, figures = _learnt(memory, targets, weights, different, seed)
    apart = np.flatnonzero(to_judge(groups))
    if apart.size < MINIMUM:
        return expectation, None
    if apart.size < different.size:
        _, figures = _learnt(memory, targets, weights, apart, seed)
    return expectation, figures


def _learnt(
    memory: Memory, targets: Sequence[TextTarget], weights: Floats, some: Ints, seed: int
) -> tuple[Expectation, Figures]:
    """What to expect of the memory of the items at some places, and how it fares on each of them when it is forgotten."""
    memory, targets, weights = memory.of_some(some), [targets[i] for i in some], weights[some]
    places = some_to_judge(np.arange(len(targets)), memory.texts, seed)
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


def some_to_judge(places: Ints, answers: Sequence[str], seed: int) -> Ints:
    """As many of the items at some places as there is time to judge, ascending; three at least where there are as many.

    Args:
        places: int [n].
        answers: of all items.
        seed: decides which.
    """
    places = np.random.default_rng(seed).permutation(places)[:JUDGED]
    sizes = np.cumsum([min(len(answers[place]), MEASURED) for place in places])
    return np.sort(places[: max(LEAST_OTHERS, int(np.searchsorted(sizes, JUDGED_CHARACTERS)))])


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


def middle_of(rows: Floats, unlabelled: Floats | None) -> Floats:
    """The middle of all items there are: that of a few answered ones alone would lie wherever they happen to."""
    if unlabelled is None or not len(unlabelled):
        return centre_of(rows)
    pool = np.asarray(unlabelled)
    return centre_of(np.concatenate([rows, pool[finite_rows(pool)]]))

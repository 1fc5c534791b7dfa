"""The learner of texts on a model that writes: its output or the translation memory, whichever is expected to be nearer."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Bools, Floats, Ints
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.outputs import Outputs, read_outputs
from labelloop.learning.figures import Figures
from labelloop.learning.folds import to_judge
from labelloop.learning.learner import Reads, Training
from labelloop.learning.threads import one_thread
from labelloop.learning.translation.answering import FLOOR, AnswersTexts
from labelloop.learning.translation.expectation import LEAST, Expectation
from labelloop.learning.translation.learner import FOLDS, MINIMUM, learn_expectation, middle_of, some_to_judge
from labelloop.learning.translation.measuring import chrf_of_each, figures_of, require_sacrebleu
from labelloop.learning.translation.memory import LEAST_OTHERS, Found, Memory
from labelloop.learning.translation.profiles import profiles
from labelloop.records import TextTarget

# Without evidence an output is expected to be as good as its tokens are probable, on average.
AS_PROBABLE: Final = (1.0, 0.0, 0.0, 0.0)


class GeneratedTextLearner(AnswersTexts):
    """Chooses for each item between what a model writes and what people wrote to the nearest item, by expected chrF.

    What to expect of an output is learnt on answered items that the model has not learnt from, from its log-probability, how far
    its beams agree, and how like the memory's suggestion it is; of the memory as in `TextLearner`. With no such items an output is
    expected to be as good as its tokens are probable, so that a model with its own weights suggests from the first item on.

    Attributes:
        cv_metrics: how it fares on the answered items that the model has not learnt from; None where they are fewer than five.
    """

    kind: ClassVar[str] = "generated-text"
    reads: ClassVar[Reads] = Reads.DENSE

    def __init__(
        self,
        written: Expectation,
        memory: Memory | None,
        remembered: Expectation | None,
        cv_metrics: Figures | None,
    ) -> None:
        self.cv_metrics = cv_metrics
        self._written = written
        self._memory = memory
        self._remembered = remembered

    @classmethod
    def train(cls, training: Training) -> "GeneratedTextLearner":
        """Remember the answers, and learn what to expect of outputs.

        Raises:
            NotEnoughLabels: some items are answered, but fewer than five, and the model writes nothing for any.
            LearningError: sacrebleu is not installed, or the parts do not go together.
        """
        require_sacrebleu()
        kept, targets = cls._usable(training.inputs, training.targets)
        items = [read_outputs(one) for one in kept]
        weights = np.array([target.weight for target in targets], dtype=np.float64)
        groups = training.grouped()[cls._finite(training.inputs)]
        memory, remembered = None, None
        with one_thread():
            if len(items) >= MINIMUM:
                memory = Memory.of(_rows(items), [one.texts[0] for one in targets], _middle(items, training.unlabelled))
                remembered, _ = learn_expectation(memory, targets, weights, groups, training.options.seed)
            elif items and not any(item.texts for item in items):
                raise NotEnoughLabels(
                    f"Without a model that writes, {MINIMUM} answered items are needed; there are {len(items)}. Answer some more."
                )
            return cls._judged(items, targets, weights, groups, memory, remembered, training.options.seed)

    @classmethod
    def _judged(
        cls,
        items: list[Outputs],
        targets: list[TextTarget],
        weights: Floats,
        groups: Ints,
        memory: Memory | None,
        remembered: Expectation | None,
        seed: int,
    ) -> "GeneratedTextLearner":
        # A near-duplicate of an item would tell how well it is answered, whether the memory or the model has it.
        known = np.isin(groups, groups[[item.taught for item in items]])
        apart = np.flatnonzero(to_judge(groups))
        others = memory.of_some(apart) if memory is not None and apart.size >= LEAST_OTHERS else None
        items, targets, weights, known = (
            [items[i] for i in apart],
            [targets[i] for i in apart],
            weights[apart],
            known[apart],
        )
        places: Ints = np.array([i for i, item in enumerate(items) if item.texts and not known[i]], dtype=np.int64)
        places = some_to_judge(places, [target.texts[0] for target in targets], seed)
        unseen, answers = [items[place] for place in places], [targets[place] for place in places]
        found = others.find_among_others(places) if others is not None and places.size else None
        signals, quality = _signals(unseen, found, others), chrf_of_each([item.texts[0] for item in unseen], answers)
        start, counts = np.array(AS_PROBABLE), weights[places]
        written = Expectation.fit(signals, quality, counts, start)
        learner = cls(written, memory, remembered, None)
        if places.size < MINIMUM:
            return learner
        expected = np.zeros(places.size)
        fold = np.arange(places.size) % FOLDS
        for number in np.unique(fold):
            kept, test = fold != number, fold == number
            expected[test] = Expectation.fit(signals[kept], quality[kept], counts[kept], start).of(signals[test])
        texts, best = cls(written, others, remembered, None)._chosen(unseen, expected, found)
        learner.cv_metrics = figures_of(texts, answers, shown=best >= FLOOR, expected=best, source="cross-validation")
        return learner

    def arrays(self) -> dict[str, Array]:
        """What is remembered and expected, ready for safetensors."""
        found = self._written.arrays("written")
        if self._memory is not None and self._remembered is not None:
            found |= {**self._memory.arrays(), **self._remembered.arrays("expectation")}
        return found

    def meta(self) -> dict[str, Any]:
        """The rest, as JSON values."""
        return {"kind": self.kind, "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "GeneratedTextLearner":
        """Restore what `arrays` and `meta` gave."""
        remembers = "rows" in arrays
        return cls(
            Expectation.from_arrays(arrays, "written"),
            Memory.from_arrays(arrays) if remembers else None,
            Expectation.from_arrays(arrays, "expectation") if remembers else None,
            Figures.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None,
        )

    def _suggest(self, inputs: Sequence[Dense]) -> tuple[list[str], Floats]:
        items = [read_outputs(one) for one in inputs]
        if not items:
            return [], np.zeros(0)
        if not self._finite(inputs).all():
            raise LearningError("Features that are not finite cannot be predicted; leave those items out.")
        found = self._memory.find(_rows(items)) if self._memory is not None else None
        return self._chosen(items, self._written.of(_signals(items, found, self._memory)), found)

    def _chosen(self, items: Sequence[Outputs], written: Floats, found: Found | None) -> tuple[list[str], Floats]:
        """The better of output and memory, and what is expected of it; nothing where there is neither."""
        texts = [item.texts[0] if item.texts else "" for item in items]
        expected = np.where([bool(text) for text in texts], written, LEAST)
        if found is None or self._memory is None or self._remembered is None:
            return texts, expected
        remembered = self._remembered.of(found.signals)
        for place in np.flatnonzero(remembered > expected):
            texts[place] = self._memory.texts[found.nearest[place]]
        return texts, np.maximum(expected, remembered)

    @staticmethod
    def _finite(inputs: Sequence[Dense]) -> Bools:
        return np.array([one.places.size > 0 and bool(np.isfinite(one.values).all()) for one in inputs], dtype=np.bool_)


def _rows(items: Sequence[Outputs]) -> Floats:
    """The rows, float32 [n, dim].

    Raises:
        LearningError: they are not all of one length.
    """
    if len({item.row.size for item in items}) > 1:
        raise LearningError("Rows of features differ in length; were they made by several backbones?")
    return np.stack([item.row for item in items])


def _middle(items: Sequence[Outputs], unlabelled: Sequence[Dense] | None) -> Floats:
    pool = [read_outputs(one).row for one in unlabelled or () if one.places.size]
    return middle_of(_rows(items), np.stack(pool) if pool else None)


def _signals(items: Sequence[Outputs], found: Found | None, memory: Memory | None) -> Floats:
    """Signals float64 [n, 3] of the best outputs: the logit of the mean token's probability, how alike the other beams' outputs are
    to it, and how alike the memory's suggestion is, both in [-1, 1]; 0 where there is nothing to compare with.
    """
    signals = np.zeros((len(items), 3))
    if not items:
        return signals
    best = profiles([item.texts[0] if item.texts else "" for item in items])
    sure = np.clip(np.exp([item.log_probabilities[0] if item.texts else -np.inf for item in items]), LEAST, 1 - LEAST)
    signals[:, 0] = np.log(sure / (1 - sure))
    for row, item, one in zip(signals, items, best, strict=True):
        row[1] = _agreement(item, one)
    if found is not None and memory is not None:
        signals[:, 2] = (memory.answers[found.nearest].astype(np.float64) * best).sum(axis=1)
    return signals


def _agreement(item: Outputs, best: Floats) -> float:
    """How alike the other outputs are to the best, each counting as much as it is probable beside it; 1 where all beams agree."""
    if not item.texts:
        return 0.0
    says = np.exp(np.array(item.log_probabilities) - item.log_probabilities[0])
    return float(says @ (profiles(item.texts) @ best) / says.sum())

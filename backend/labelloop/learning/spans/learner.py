"""The learner of a control with which people mark stretches of a text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Floats
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.tokens import Tokens, unpack_tokens
from labelloop.learning.calibration import Calibration
from labelloop.learning.figures import Figures
from labelloop.learning.learner import Reads, Training
from labelloop.learning.reduction import AUTO, check_reduction, reduce
from labelloop.learning.spans.decoding import Reading, read_texts
from labelloop.learning.spans.judging import entity_figures, f1_of_each
from labelloop.learning.spans.network import NAMES, Network
from labelloop.learning.spans.reading import Scaling, gather, is_finite
from labelloop.learning.spans.training import train_members
from labelloop.learning.threads import one_thread
from labelloop.learning.uncertainty import measure_named
from labelloop.records import Span, SpansPrediction, SpansTarget

# Features of texts that are read at once, in numbers: they need twice their memory, and their marginals about as much.
_AT_ONCE: Final = 32_000_000
# What a text's uncertainty is the mean of, unless a person chooses one reduction.
_USUAL: Final = ("mean", "max")


class SpanLearner:
    """A linear-chain network on frozen token features: named-entity recognition from few marked texts.

    A few small networks, each trained without one fold of the texts, score a token's tags together; the best valid path of
    tags is what is shown (Viterbi), so its spans never overlap. Of overlapping marked spans the longest are learnt, and all
    are counted when it is judged. A span's score is the probability that exactly it is there, by forward and backward sums,
    calibrated on the folds. numpy serves it; training needs scipy.

    The uncertainty of a text is (mean + max) / 2 of its tokens' uncertainty, each by the chosen measure of the probabilities
    of its tags, or as another reduction has it. Neither part grows with a text's length, and a text in which nothing is found
    but nearly something gets its due. A text without a word has 0; one whose features are not finite 1.

    Attributes:
        classes: every class of the control, in the config's order; those without a span in training are never found.
        uncertainty: the name of the measure.
        reduction: how the tokens' uncertainties become one; `auto`: as above.
        cv_metrics: entity F1 of the networks on the texts they were not trained on; None: there were too few.
    """

    kind: ClassVar[str] = "spans"
    reads: ClassVar[Reads] = Reads.DENSE

    def __init__(
        self,
        classes: Sequence[str],
        networks: Sequence[Network],
        arrays: Mapping[str, Array],
        *,
        uncertainty: str,
        reduction: str,
        leaning: float,
        cv_metrics: Figures | None,
    ) -> None:
        self.classes = tuple(classes)
        self.uncertainty = uncertainty
        self.reduction = reduction
        self.cv_metrics = cv_metrics
        self._measure = measure_named(uncertainty)
        self._networks = tuple(networks)
        self._leaning = leaning
        self._scaling = Scaling(arrays["centre"], arrays["spread"])
        self._labels = [self.classes[number] for number in arrays["seen"].tolist()]
        self._arrays = {name: arrays[name] for name in ("centre", "spread", "seen", "temperature", "offsets")}
        self._calibration = Calibration.from_arrays(arrays, "vector")

    @classmethod
    def train(cls, training: Training) -> "SpanLearner":
        """Train on the labelled texts; the pool and the holdout are not looked at.

        Raises:
            NotEnoughLabels: there are no classes, or no text has a span of one.
            LearningError: no uncertainty or reduction has that name, or the parts do not go together.
        """
        measure_named(training.options.uncertainty)
        check_reduction(training.options.reduction)
        if not training.classes:
            raise NotEnoughLabels("There is no class of spans yet; add a Label, or mark a span.")
        with one_thread():
            material = gather(training.inputs, training.targets, training.classes, training.grouped())
            trained = train_members(material, [training.classes[n] for n in material.seen], training.options.seed)
        scaling = {"centre": material.scaling.centre, "spread": material.scaling.spread}
        return cls(
            training.classes,
            trained.networks,
            {**scaling, "seen": material.seen, **trained.calibration.arrays()},
            uncertainty=training.options.uncertainty,
            reduction=training.options.reduction,
            leaning=trained.leaning,
            cv_metrics=trained.figures,
        )

    def predict(self, inputs: Sequence[Dense]) -> list[SpansPrediction]:
        """What the model says of each text.

        Raises:
            LearningError: the features are not of tokens, or not as wide as those the model was trained on.
        """
        predictions: list[SpansPrediction] = []
        with one_thread():
            for texts in _few_at_a_time(inputs):
                predictions += self._predict(texts)
        return predictions

    def _predict(self, texts: Sequence[Tokens]) -> list[SpansPrediction]:
        known = [number for number, tokens in enumerate(texts) if len(tokens.values) and is_finite(tokens)]
        values = [self._scaling(texts[number].values) for number in known]
        readings = dict(zip(known, read_texts(self._networks, values, len(self._labels), self._leaning), strict=True))
        return [self._said(tokens, readings.get(number)) for number, tokens in enumerate(texts)]

    def _said(self, tokens: Tokens, reading: Reading | None) -> SpansPrediction:
        if reading is None:
            unreadable = len(tokens.values) > 0
            return SpansPrediction((), 0.0 if unreadable else 1.0, 1.0 if unreadable else 0.0)
        logits = np.stack([np.zeros_like(reading.odds), reading.odds], axis=1)
        scores = self._calibration.probabilities(logits)[:, 1].tolist()
        spans = tuple(
            Span(self._labels[column], int(tokens.starts[first]), int(tokens.ends[after - 1]), score)
            for (first, after, column), score in zip(reading.spans, scores, strict=True)
        )
        doubts = self._measure(reading.marginals)[None]
        hows = _USUAL if self.reduction == AUTO else (self.reduction,)
        doubt = float(np.mean([reduce(doubts, how)[0] for how in hows]))
        confidence = float(np.clip(reading.marginals.max(axis=1).mean(), 0, 1))
        return SpansPrediction(spans, confidence, doubt)

    def evaluate(self, inputs: Sequence[Dense], targets: Sequence[SpansTarget]) -> Figures:
        """Entity F1 by exact match; spans that people marked across each other all count.

        Raises:
            NotEnoughLabels: there is no text to judge on.
            LearningError: the features are not like those the model was trained on.
        """
        if not targets:
            raise NotEnoughLabels("There is no annotated text to measure a model on.")
        said, right = self._both(inputs, targets)
        return entity_figures(said, right, "holdout")

    def quality(self, inputs: Sequence[Dense], targets: Sequence[SpansTarget]) -> Floats:
        """The F1 of each text's spans, float64 [n] in [0, 1]; 1 where there are none and none are found."""
        return f1_of_each(*self._both(inputs, targets))

    def _both(
        self, inputs: Sequence[Dense], targets: Sequence[SpansTarget]
    ) -> tuple[list[Sequence[Span]], list[Sequence[Span]]]:
        if len(inputs) != len(targets):
            raise LearningError(f"There are {len(targets)} targets for {len(inputs)} texts.")
        right = [[span for span in target.spans if span.label in self.classes] for target in targets]
        return [prediction.spans for prediction in self.predict(inputs)], list(right)

    def probabilities(self, inputs: Sequence[Dense]) -> Floats | None:
        """None: a text does not have one class."""
        return None

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        members = {
            f"member{number}.{name}": value
            for number, network in enumerate(self._networks)
            for name, value in network.parameters.items()
        }
        return {**self._arrays, **members}

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "uncertainty": self.uncertainty,
            "reduction": self.reduction,
            "members": len(self._networks),
            "leaning": self._leaning,
            "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "SpanLearner":
        """Restore what `arrays` and `meta` gave."""
        networks = [
            Network({name: arrays[f"member{number}.{name}"] for name in NAMES}) for number in range(meta["members"])
        ]
        return cls(
            meta["classes"],
            networks,
            arrays,
            uncertainty=meta["uncertainty"],
            reduction=meta.get("reduction", AUTO),
            leaning=meta["leaning"],
            cv_metrics=Figures.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None,
        )


def _few_at_a_time(inputs: Sequence[Dense]) -> Iterator[list[Tokens]]:
    """The tokens of texts, as many texts at a time as fit in little memory; one at least."""
    texts: list[Tokens] = []
    size = 0
    for dense in inputs:
        texts.append(unpack_tokens(dense))
        size += dense.values.size
        if size >= _AT_ONCE:
            yield texts
            texts, size = [], 0
    if texts:
        yield texts

"""From dense features and spans to what is learnt, and what is decoded back into spans."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.tokens import Tokens, unpack_tokens
from labelloop.learning.spans.fitting import Example
from labelloop.learning.spans.tags import disjoint, on_tokens, to_tags
from labelloop.records import Span, SpansTarget

# A channel that hardly ever differs from its mean is not blown up to the others' spread.
LEAST_SPREAD: Final = 0.1
_TOKENS_AT_ONCE: Final = 20_000
_WAYS_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Scaling:
    """What is taken off each channel, and what the rest is divided by; both float32 [channels]."""

    centre: Array
    spread: Array

    def __call__(self, values: Floats) -> Floats:
        """Values [t, channels] as networks read them, float32.

        Raises:
            LearningError: they are not as wide as those it was fitted to.
        """
        if values.shape[1] != self.centre.size:
            raise LearningError(
                f"The model reads tokens of {self.centre.size} features, not of {values.shape[1]}; "
                "were they made by another backbone?"
            )
        scaled: Floats = (values - self.centre) / self.spread
        return scaled


@dataclass(frozen=True, slots=True)
class Material:
    """What can be learnt of labelled texts.

    Attributes:
        scaling: fitted to their tokens.
        seen: int64 [k], the numbers of the classes that have a span, in the config's order.
        examples: the texts that have a token, tagged; overlapping spans reduced to the longest (`tags.disjoint`).
        tokens: of each of them, without the features, which the examples have.
        spans: what people marked in each of them, as it was.
        groups: int64 [texts], the number of each one's group of near-duplicates.
    """

    scaling: Scaling
    seen: Ints
    examples: Sequence[Example]
    tokens: Sequence[Tokens]
    spans: Sequence[Sequence[Span]]
    groups: Ints


def gather(inputs: Sequence[Dense], targets: Sequence[SpansTarget], classes: Sequence[str], groups: Ints) -> Material:
    """What can be learnt of n texts; those without a token, or with features that are not finite, are left out.

    Args:
        inputs: their token features.
        targets: what people marked in each.
        classes: every class of the control.
        groups: int [n], the number of each one's group of near-duplicates.

    Raises:
        NotEnoughLabels: no span of a class there is lies in what is left.
        LearningError: there are not as many targets as texts, or their tokens are not equally wide.
    """
    if len(inputs) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for {len(inputs)} texts.")
    # Those of many texts take gigabytes, so features are unpacked where they are wanted, and held once, as they are learnt.
    rows, places = _places(inputs)
    told = [targets[row] for row in rows]
    number_of = {label: number for number, label in enumerate(classes)}
    placed = [disjoint(on_tokens(o.spans, t.starts, t.ends, number_of)) for t, o in zip(places, told, strict=True)]
    seen = sorted({number for spans in placed for _, _, number in spans})
    if not seen:
        raise NotEnoughLabels(
            f"A model needs at least one marked span; the {len(targets)} annotated texts have none. Mark one."
        )
    scaling = _fit_scaling(unpack_tokens(inputs[row]).values for row in rows)
    column = {number: place for place, number in enumerate(seen)}
    examples = [
        Example(
            scaling(unpack_tokens(inputs[row]).values),
            to_tags([(first, after, column[number]) for first, after, number in spans], len(tokens.starts)),
            target.weight,
        )
        for row, tokens, target, spans in zip(rows, places, told, placed, strict=True)
    ]
    return Material(
        scaling,
        np.array(seen, dtype=np.int64),
        examples,
        places,
        [[span for span in target.spans if span.label in number_of] for target in told],
        groups[rows],
    )


def _places(inputs: Sequence[Dense]) -> tuple[list[int], list[Tokens]]:
    """Which texts have a token and finite features, and their tokens without these."""
    rows, places = [], []
    for row, dense in enumerate(inputs):
        tokens = unpack_tokens(dense)
        if len(tokens.values) and is_finite(tokens):
            rows.append(row)
            places.append(replace(tokens, values=np.zeros((0, 0), dtype=np.float32)))
    return rows, places


def _fit_scaling(texts: Iterable[Floats]) -> Scaling:
    """What brings the channels of texts, each [t, channels], to mean 0 and spread 1 over all their tokens.

    Raises:
        LearningError: they are not equally wide.
    """
    count, sums, squares = 0, np.zeros(1), np.zeros(1)
    for values in texts:
        if count and values.shape[1] != sums.size:
            raise LearningError("The texts' tokens are not all of one backbone; embed them again.")
        count += len(values)
        sums = sums + values.sum(axis=0, dtype=np.float64)
        squares = squares + np.square(values, dtype=np.float64).sum(axis=0)
    centre = sums / count
    spread = np.sqrt(np.maximum(squares / count - centre**2, LEAST_SPREAD**2))
    return Scaling(centre.astype(np.float32), spread.astype(np.float32))


def is_finite(tokens: Tokens) -> bool:
    """Whether all features of a text's tokens are."""
    return bool(np.isfinite(tokens.values).all())


def in_batches(lengths: Sequence[int], tags: int) -> Iterator[Ints]:
    """Numbers of texts in batches of like length, so that little is padded, and none needs much memory.

    Args:
        lengths: how many tokens each text has.
        tags: how many tags there are; the best paths need the square of it for each text of a batch.
    """
    texts_at_once = max(1, _WAYS_AT_ONCE // tags**2)
    order = np.argsort(np.array(lengths, dtype=np.int64), kind="stable")
    batch: list[int] = []
    for number in order.tolist():
        full = len(batch) >= texts_at_once or (len(batch) + 1) * lengths[number] > _TOKENS_AT_ONCE
        if batch and full:
            yield np.array(batch)
            batch = []
        batch.append(number)
    if batch:
        yield np.array(batch)

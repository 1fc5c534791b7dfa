"""Fitting a network to tagged sequences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Array, Bools, Floats, Ints
from labelloop.learning.spans.network import Batch, Network, gradients, new_parameters
from labelloop.learning.spans.tags import allowed, columns, from_tags, opens

AT_ONCE: Final = 16
RATE: Final = 3e-3
# Each step takes this share, times the rate, off every weight of a matrix (Loshchilov and Hutter, 2019).
DECAY: Final = 0.05
# Passes over the data; fewer where they are many, but enough steps where they are few.
PASSES: Final = 25
FEWEST_PASSES: Final = 1
TOKENS_SEEN: Final = 300_000
FEWEST_STEPS: Final = 150
# Longer sequences are cut where no span runs, and the middle of longer spans is left out; what a token's tag depends on is near it.
LONGEST: Final = 96


@dataclass(frozen=True, slots=True)
class Example:
    """One text to learn.

    Attributes:
        values: float32 [t, channels], scaled; t is at least 1.
        tags: int64 [t].
        weight: how much it counts.
    """

    values: Floats
    tags: Ints
    weight: float


def fit_network(sequences: Sequence[Example], classes: int, seed: int) -> Network:
    """Train a network: Adam (Kingma and Ba, 2015), its rate falling to 0 along half a cosine.

    Args:
        sequences: at least one.
        classes: how many classes their tags are of.
        seed: decides the first parameters, the order of the sequences, and what is left out of each step.
    """
    parts = [part for sequence in sequences for part in _cut(sequence)]
    random = np.random.default_rng(seed)
    parameters = new_parameters(parts[0].values.shape[1], columns(classes), random)
    adam, rules = _Adam(parameters), allowed(classes)
    steps = _steps(parts)
    order: list[int] = []
    for step in range(steps):
        if len(order) < min(AT_ONCE, len(parts)):
            order = [*order, *random.permutation(len(parts)).tolist()]
        chosen, order = [parts[number] for number in order[:AT_ONCE]], order[AT_ONCE:]
        batch = Batch(np.concatenate([part.values for part in chosen]), np.array([len(part.tags) for part in chosen]))
        weights = np.array([part.weight for part in chosen])
        tags = np.concatenate([part.tags for part in chosen])
        _, slopes = gradients(parameters, batch, tags, weights, rules, random)
        adam.step(slopes, RATE * 0.5 * (1 + np.cos(np.pi * step / steps)))
    return Network(parameters)


def _steps(parts: Sequence[Example]) -> int:
    tokens = sum(len(part.tags) for part in parts)
    passes = int(np.clip(TOKENS_SEEN // tokens, FEWEST_PASSES, PASSES))
    return max(FEWEST_STEPS, passes * -(-len(parts) // AT_ONCE))


def _cut(sequence: Example) -> list[Example]:
    """A sequence in parts of `LONGEST` tokens at most, or of half as many more where a span runs across every place to cut."""
    sequence = _shortened(sequence)
    parts, start = [], 0
    tags = sequence.tags
    free = opens(tags)
    calm = (tags == 0) & (np.roll(tags, 1) == 0)
    while len(tags) - start > LONGEST:
        end = _end(start, calm, free)
        parts.append(Example(sequence.values[start:end], tags[start:end], sequence.weight))
        start = end
    return [*parts, Example(sequence.values[start:], tags[start:], sequence.weight)] if start < len(tags) else parts


def _shortened(sequence: Example) -> Example:
    """The sequence without the middle of spans of more than `LONGEST` tokens."""
    kept = np.ones(len(sequence.tags), dtype=np.bool_)
    for first, after, _ in from_tags(sequence.tags):
        if after - first > LONGEST:
            kept[first + LONGEST // 2 : after - LONGEST // 2] = False
    return sequence if kept.all() else Example(sequence.values[kept], sequence.tags[kept], sequence.weight)


def _end(start: int, calm: Bools, free: Bools) -> int:
    """Where a part ends: outside of spans if it can be, else between two, and behind one that runs through all its second half.

    Args:
        start: where it begins.
        calm: bool [t], whether neither a token nor the one before is in a span.
        free: bool [t], whether no span runs into a token from the one before.
    """
    for places in (calm, free):
        near = np.flatnonzero(places[start + LONGEST // 2 : start + LONGEST])
        if near.size:
            return start + LONGEST // 2 + int(near[-1])
    later = np.flatnonzero(free[start + LONGEST :])
    return start + LONGEST + int(later[0]) if later.size else len(free)


class _Adam:
    """Adam with decoupled decay; changes the parameters in place."""

    def __init__(self, parameters: dict[str, Array], *, first: float = 0.9, second: float = 0.99) -> None:
        self._parameters = parameters
        self._first, self._second, self._count = first, second, 0
        self._means = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._squares = {name: np.zeros_like(value) for name, value in parameters.items()}

    def step(self, slopes: dict[str, Array], rate: float) -> None:
        self._count += 1
        for name, value in self._parameters.items():
            slope = slopes[name].astype(np.float32)
            mean, square = self._means[name], self._squares[name]
            mean += (1 - self._first) * (slope - mean)
            square += (1 - self._second) * (slope**2 - square)
            unbiased = np.sqrt(square / (1 - self._second**self._count)) + 1e-8
            if name in ("inwards", "outwards", "moves"):
                value *= 1 - rate * DECAY
            value -= rate / (1 - self._first**self._count) * mean / unbiased

"""From trained networks to spans with their probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.spans.chain import Chain, beliefs, best_paths, likelihood
from labelloop.learning.spans.network import Batch, Network, mean_chain, padded
from labelloop.learning.spans.reading import in_batches
from labelloop.learning.spans.tags import allowed, columns, from_tags, path_of

# How far the score of O may be lowered, so that spans are found which are rather there than not.
LEANINGS: Final = (0.0, 0.5, 1.0, 1.5)


@dataclass(frozen=True, slots=True)
class Reading:
    """What networks make of one text.

    Attributes:
        spans: (first token, token after the last, column of the class), in order, without overlap.
        odds: float64 [spans], the log odds of each: that exactly it is there, whatever else is.
        marginals: float32 [t, tags], probability of each tag of each token.
    """

    spans: list[tuple[int, int, int]]
    odds: Floats
    marginals: Floats


def read_texts(networks: Sequence[Network], texts: Sequence[Floats], classes: int, leaning: float) -> list[Reading]:
    """What networks together make of texts, each float32 [t, channels], scaled, t at least 1; their scores are averaged.

    Args:
        networks: at least one.
        texts: n of them.
        classes: how many classes the networks know.
        leaning: what is taken off the score of O.
    """
    chain = mean_chain(networks, allowed(classes))
    readings: dict[int, Reading] = {}
    for numbers, scores, lengths in _scored(networks, texts, classes):
        readings.update(zip(numbers, _read(chain, _leant(scores, leaning), lengths), strict=True))
    return [readings[number] for number in range(len(texts))]


def find_spans(
    networks: Sequence[Network], texts: Sequence[Floats], classes: int, leanings: Sequence[float]
) -> list[list[list[tuple[int, int, int]]]]:
    """The spans alone that `read_texts` would find, for each leaning and each text."""
    chain = mean_chain(networks, allowed(classes))
    found: list[dict[int, list[tuple[int, int, int]]]] = [{} for _ in leanings]
    for numbers, scores, lengths in _scored(networks, texts, classes):
        for place, leaning in enumerate(leanings):
            paths = best_paths(chain, _leant(scores, leaning), lengths)
            found[place].update(zip(numbers, map(from_tags, paths), strict=True))
    return [[spans[number] for number in range(len(texts))] for spans in found]


def _scored(
    networks: Sequence[Network], texts: Sequence[Floats], classes: int
) -> Iterator[tuple[list[int], Floats, Ints]]:
    """Batches: the numbers of their texts, the networks' mean scores [texts, longest, tags], and the texts' lengths."""
    for numbers in in_batches([len(text) for text in texts], columns(classes)):
        chosen = [texts[number] for number in numbers]
        batch = Batch(np.concatenate(chosen), np.array([len(text) for text in chosen]))
        yield numbers.tolist(), padded(_mean_scores(networks, batch), batch), batch.lengths


def _mean_scores(networks: Sequence[Network], batch: Batch) -> Floats:
    scores: Floats = np.mean([network.scores(batch) for network in networks], axis=0)
    return scores


def _leant(scores: Floats, leaning: float) -> Floats:
    leant = scores.copy()
    leant[..., 0] -= np.float32(leaning)
    return leant


def _read(chain: Chain, scores: Floats, lengths: Ints) -> list[Reading]:
    found, paths = beliefs(chain, scores, lengths), best_paths(chain, scores, lengths)
    marginals = found.marginals.astype(np.float32)
    readings = []
    for row, path in enumerate(paths):
        spans = from_tags(path)
        sure = [likelihood(chain, found, row, first, path_of(number, after - first)) for first, after, number in spans]
        share = np.clip(np.array(sure, dtype=np.float64), 1e-6, 1 - 1e-6)
        readings.append(Reading(spans, np.log(share / (1 - share)), marginals[row, : len(path)]))
    return readings

"""Training the members of a span model, each without one fold, and learning from the folds how far to believe them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.backbones.tokens import Tokens
from labelloop.learning.calibration import Calibration, fit_calibration, unfitted
from labelloop.learning.figures import Figures
from labelloop.learning.folds import to_judge
from labelloop.learning.spans.decoding import LEANINGS, Reading, find_spans, read_texts
from labelloop.learning.spans.fitting import fit_network
from labelloop.learning.spans.judging import entity_figures, keys
from labelloop.learning.spans.network import Network
from labelloop.learning.spans.reading import Material
from labelloop.records import Span

FOLDS: Final = 3
# With few texts a fold is small, so that each member misses little.
FEW: Final = 100
FOLDS_OF_FEW: Final = 5
# Marked spans from which on the leaning is chosen; on fewer its choice would be chance.
CHOOSE_FROM: Final = 30
# Tokens of a fold on which it is chosen.
CHOOSE_TOKENS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives.

    Attributes:
        networks: the members.
        leaning: what is to be taken off the score of O.
        calibration: of the two logits of a span, that it is not and that it is there.
        figures: how the members fared on what each was not trained on; None: there were too few texts.
    """

    networks: list[Network]
    leaning: float
    calibration: Calibration
    figures: Figures | None


def train_members(material: Material, labels: Sequence[str], seed: int) -> Trained:
    """Train one member for each fold, on the texts outside it, and judge each on the texts inside.

    The members serve together, so that every text is learnt from (cross-validation committees, Parmanto et al., 1996). Where
    fewer than two texts have a span there is one member, trained on all. Texts that the backbone itself has learnt from teach,
    but members are judged on the others alone, where there are any: of its own texts it is too sure.

    Args:
        material: what to learn.
        labels: the classes that have a span, as the material numbers its tags.
        seed: decides the folds and what is random in training.
    """
    folds = _folds(material, seed)
    if folds is None:
        return Trained([fit_network(material.examples, len(labels), seed)], 0.0, unfitted(2), None)
    judged = _judged(material)
    networks, inside = [], []
    for fold in range(int(folds.max()) + 1):
        outside = [material.examples[number] for number in np.flatnonzero(folds != fold)]
        networks.append(fit_network(outside, len(labels), seed + fold))
        inside.append(np.flatnonzero((folds == fold) & judged))
    leaning = _choose(material, networks, inside, labels)
    readings = _read_inside(material, networks, inside, len(labels), leaning)
    said = [_spans(reading.spans, material.tokens[number], labels) for number, reading in readings.items()]
    wanted = [material.spans[number] for number in readings]
    figures = entity_figures(said, wanted, "cross-validation")
    return Trained(networks, leaning, _calibrate(list(readings.values()), said, wanted), figures)


def _judged(material: Material) -> Bools:
    """Which texts members are judged on, bool [texts]: one of each group of near-duplicates, of those groups that the backbone has
    not learnt from, or of all where it has of each."""
    taught = np.array([tokens.taught for tokens in material.tokens])
    fresh = to_judge(material.groups, taught)
    return fresh if fresh.any() else to_judge(material.groups)


def _folds(material: Material, seed: int) -> Ints | None:
    """The fold of each text: texts with a span are dealt out in turn, and then those without, in an order drawn anew; of each,
    those that are judged come first. Near-duplicates are in the same fold, or one would tell how the others are read."""
    text = np.unique(material.groups, return_inverse=True)[1]
    marked, judged = (
        np.bincount(text, each) > 0
        for each in ([example.tags.any() for example in material.examples], _judged(material))
    )
    if marked.sum() < 2:
        return None
    folds = min(FOLDS if len(marked) > FEW else FOLDS_OF_FEW, len(marked))
    order = np.random.default_rng(seed).permutation(len(marked))
    order = order[np.lexsort((~judged[order], ~marked[order]))]
    fold = np.empty(len(marked), dtype=np.int64)
    fold[order] = np.arange(len(marked)) % folds
    return fold[text]


def _choose(material: Material, networks: Sequence[Network], inside: Sequence[Ints], labels: Sequence[str]) -> float:
    """The leaning with the best F1 on texts that each member was not trained on; the least of equally good ones."""
    if sum(len(material.spans[number]) for number in np.concatenate(inside)) < CHOOSE_FROM:
        return LEANINGS[0]
    hits, both = np.zeros(len(LEANINGS)), np.zeros(len(LEANINGS))
    for network, numbers in zip(networks, inside, strict=True):
        some = _some(material, numbers)
        texts = [material.examples[number].values for number in some]
        for place, found in enumerate(find_spans([network], texts, len(labels), LEANINGS)):
            for number, spans in zip(some, found, strict=True):
                said, wanted = keys(_spans(spans, material.tokens[number], labels)), keys(material.spans[number])
                hits[place] += len(said & wanted)
                both[place] += len(said) + len(wanted)
    return LEANINGS[int(np.argmax(hits / np.maximum(both, 1)))]


def _some(material: Material, numbers: Ints) -> Ints:
    """As many of a fold's texts as the choice of the leaning has time for, at least one."""
    tokens = np.cumsum([len(material.examples[number].tags) for number in numbers])
    return numbers[: max(1, int(np.searchsorted(tokens, CHOOSE_TOKENS)))]


def _read_inside(
    material: Material, networks: Sequence[Network], inside: Sequence[Ints], classes: int, leaning: float
) -> dict[int, Reading]:
    """What is made of the judged texts, by their numbers, ascending."""
    readings: dict[int, Reading] = {}
    for network, numbers in zip(networks, inside, strict=True):
        texts = [material.examples[number].values for number in numbers]
        readings.update(zip(numbers.tolist(), read_texts([network], texts, classes, leaning), strict=True))
    return dict(sorted(readings.items()))


def _spans(spans: Sequence[tuple[int, int, int]], tokens: Tokens, labels: Sequence[str]) -> list[Span]:
    return [
        Span(labels[column], int(tokens.starts[first]), int(tokens.ends[after - 1])) for first, after, column in spans
    ]


def _calibrate(
    readings: Sequence[Reading], said: Sequence[Sequence[Span]], wanted: Sequence[Sequence[Span]]
) -> Calibration:
    """Platt's scaling (1999) of the log odds of the spans found inside the folds, drawn to changing nothing."""
    right = [keys(spans) for spans in wanted]
    there = [bool(keys([span]) & known) for spans, known in zip(said, right, strict=True) for span in spans]
    odds: Floats = np.concatenate([reading.odds for reading in readings])
    logits = np.stack([np.zeros_like(odds), odds], axis=1)
    return fit_calibration(logits, np.array(there, dtype=np.int64), np.ones(len(there)))

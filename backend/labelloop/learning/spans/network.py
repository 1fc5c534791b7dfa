"""What scores each token's tags: one hidden layer over a token and its neighbours, and the chain over the tags.

It is trained as a whole with hand-written gradients, in numpy: a server needs no torch, and what trains it is what serves it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Array, Bools, Floats, Ints
from labelloop.learning.spans.chain import Chain, beliefs, chain_of, expected_moves

HIDDEN: Final = 64
# Shares of inputs and of hidden units left out in training (Srivastava et al., 2014).
INPUT_DROPOUT: Final = 0.25
HIDDEN_DROPOUT: Final = 0.5
NAMES: Final = ("inwards", "inwards_bias", "outwards", "outwards_bias", "moves", "first", "last")


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences one after the other.

    Attributes:
        values: float32 [tokens, channels], scaled.
        lengths: int64 [sequences], at least 1.
    """

    values: Floats
    lengths: Ints

    @property
    def starts(self) -> Ints:
        """The first token of each sequence."""
        starts: Ints = np.cumsum(self.lengths) - self.lengths
        return starts

    @property
    def places(self) -> tuple[Ints, Ints]:
        """The sequence of each token and its place in it."""
        rows = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return rows, np.arange(len(rows)) - self.starts[rows]


class Network:
    """A trained network of one member; never changes.

    Attributes:
        parameters: `inwards` [channels, 3 hidden]: of the token itself, the one before and the one after; `inwards_bias`
            [hidden]; `outwards` [hidden, tags]; `outwards_bias` [tags]; `moves` [tags, tags]; `first` and `last` [tags].
    """

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.parameters = {name: parameters[name] for name in NAMES}

    def scores(self, batch: Batch) -> Floats:
        """Score of each tag of each token, float32 [tokens, tags]."""
        hidden = hidden_layer(self.parameters, batch, batch.values)
        scores: Floats = hidden @ self.parameters["outwards"] + self.parameters["outwards_bias"]
        return scores


def new_parameters(channels: int, tags: int, random: np.random.Generator) -> dict[str, Array]:
    """Parameters to begin with (He et al., 2015)."""
    inwards = random.normal(0, np.sqrt(2 / (3 * channels)), (channels, 3 * HIDDEN))
    outwards = random.normal(0, np.sqrt(1 / HIDDEN), (HIDDEN, tags))
    drawn = {"inwards": inwards, "outwards": outwards}
    zeros = {
        "inwards_bias": (HIDDEN,),
        "outwards_bias": (tags,),
        "moves": (tags, tags),
        "first": (tags,),
        "last": (tags,),
    }
    return {
        name: drawn[name].astype(np.float32) if name in drawn else np.zeros(zeros[name], dtype=np.float32)
        for name in NAMES
    }


def hidden_layer(parameters: Mapping[str, Array], batch: Batch, values: Floats) -> Floats:
    """The hidden units of each token, float32 [tokens, hidden]; beyond a sequence's ends there is nothing."""
    own, before, after = np.split(values @ parameters["inwards"], 3, axis=1)
    summed = own + parameters["inwards_bias"] + _later(before, batch) + _earlier(after, batch)
    return np.maximum(summed, 0)


def padded(flat: Floats, batch: Batch) -> Floats:
    """Rows of tokens [tokens, k] as [sequences, longest, k], zeros after a sequence's end."""
    result = np.zeros((len(batch.lengths), int(batch.lengths.max()), flat.shape[1]), dtype=flat.dtype)
    result[batch.places] = flat
    return result


def gradients(
    parameters: Mapping[str, Array],
    batch: Batch,
    tags: Ints,
    weights: Floats,
    allowed: tuple[Bools, Bools, Bools],
    random: np.random.Generator | None,
) -> tuple[float, dict[str, Array]]:
    """The mean negative log-likelihood of a token, and its slope in each parameter.

    Args:
        parameters: as they are.
        batch: sequences.
        tags: int [tokens], the right tags.
        weights: float64 [sequences], how much each counts.
        allowed: which tags may follow each other, come first and last.
        random: draws what is left out; None: nothing is.
    """
    values = batch.values
    kept: Floats = np.ones((1, HIDDEN), dtype=np.float32)
    if random is not None:
        values = values * _dropout(values.shape, INPUT_DROPOUT, random)
        kept = _dropout((len(values), HIDDEN), HIDDEN_DROPOUT, random)
    hidden = hidden_layer(parameters, batch, values)
    shown = hidden * kept
    scores = shown @ parameters["outwards"] + parameters["outwards_bias"]
    loss, slopes, pull = _chain_slopes(parameters, batch, scores, tags, weights, allowed)
    below = (pull @ parameters["outwards"].T) * kept * (hidden > 0)
    three = np.concatenate([below, _earlier(below, batch), _later(below, batch)], axis=1)
    slopes |= {
        "outwards": shown.T @ pull,
        "outwards_bias": pull.sum(axis=0),
        "inwards": values.T @ three,
        "inwards_bias": below.sum(axis=0),
    }
    return loss, slopes


def _chain_slopes(
    parameters: Mapping[str, Array],
    batch: Batch,
    scores: Floats,
    tags: Ints,
    weights: Floats,
    allowed: tuple[Bools, Bools, Bools],
) -> tuple[float, dict[str, Array], Floats]:
    """The loss, the slopes of the chain's own parameters, and those of the scores, float32 [tokens, tags]."""
    chain = chain_of(parameters["moves"], parameters["first"], parameters["last"], allowed)
    found = beliefs(chain, padded(scores, batch), batch.lengths)
    rows, places = batch.places
    weight = weights[rows, None] / max(float(weights @ batch.lengths), 1e-12)
    pull = found.marginals[rows, places]
    pull[np.arange(len(tags)), tags] -= 1
    pull = pull * weight
    ends = batch.starts + batch.lengths - 1
    follows = np.flatnonzero(places > 0)
    moves = expected_moves(chain, found, weight[batch.starts, 0])
    np.add.at(moves, (tags[follows - 1], tags[follows]), -weight[follows, 0])
    said = scores[np.arange(len(tags)), tags]
    path = np.bincount(rows, said) + chain.first[tags[batch.starts]] + chain.last[tags[ends]]
    path += np.bincount(rows[follows], chain.moves[tags[follows - 1], tags[follows]], minlength=len(batch.lengths))
    loss = float(weight[batch.starts, 0] @ (found.log_total - path))
    slopes = {"moves": moves, "first": pull[batch.starts].sum(axis=0), "last": pull[ends].sum(axis=0)}
    return loss, slopes, pull.astype(np.float32)


def _later(rows: Floats, batch: Batch) -> Floats:
    """What each token's predecessor has; zeros for a sequence's first."""
    moved = np.zeros_like(rows)
    moved[1:] = rows[:-1]
    moved[batch.starts] = 0
    return moved


def _earlier(rows: Floats, batch: Batch) -> Floats:
    """What each token's successor has; zeros for a sequence's last."""
    moved = np.zeros_like(rows)
    moved[:-1] = rows[1:]
    moved[batch.starts + batch.lengths - 1] = 0
    return moved


def _dropout(shape: tuple[int, ...], share: float, random: np.random.Generator) -> Floats:
    return (random.random(shape, dtype=np.float32) >= share).astype(np.float32) / np.float32(1 - share)


def mean_chain(members: Sequence[Network], allowed: tuple[Bools, Bools, Bools]) -> Chain:
    """The chain of the members' mean scores."""
    moves, first, last = (
        np.mean([member.parameters[name] for member in members], axis=0) for name in ("moves", "first", "last")
    )
    return chain_of(moves, first, last, allowed)

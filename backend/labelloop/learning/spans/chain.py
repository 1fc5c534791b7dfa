"""A linear-chain conditional random field (Lafferty, McCallum and Pereira, 2001) over many sequences at once, in numpy.

Sequences lie side by side in arrays [sequences, longest, tags]; what comes after a sequence's end is not looked at. Sums run
over probabilities scaled at each place (Rabiner, 1989), not over logarithms, which takes a tenth of the time.
"""

from dataclasses import dataclass

import numpy as np

from labelloop.learning.arrays import Bools, Floats, Ints

_NEVER = -1e9
_TINY = 1e-300
# A score counts as at most so far below the best of its place: less would be 0 beside it, and where a place rules out all that
# the places around it allow, everything would be.
_FARTHEST = -150.0


@dataclass(frozen=True, slots=True)
class Chain:
    """What tags follow each other.

    Attributes:
        moves: float64 [tags, tags], the score of one tag after another; -1e9 where it may not come.
        first: float64 [tags], of coming first.
        last: float64 [tags], of coming last.
    """

    moves: Floats
    first: Floats
    last: Floats


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What a chain and scores say together.

    Attributes:
        forward: float64 [n, t, tags], probability of each tag given all up to its place.
        backward: float64 [n, t, tags]; times `forward` it is the probability of the tag given everything.
        emissions: float64 [n, t, tags], exp of the scores less the largest at each place, or of -150 where that is more.
        scales: float64 [n, t], what each place was divided by.
        log_total: float64 [n], log of the sum over all ways to tag a sequence.
    """

    forward: Floats
    backward: Floats
    emissions: Floats
    scales: Floats
    log_total: Floats

    @property
    def marginals(self) -> Floats:
        """Probability of each tag at each place, float64 [n, t, tags]; zeros after a sequence's end."""
        product: Floats = self.forward * self.backward
        return product


def chain_of(moves: Floats, first: Floats, last: Floats, allowed: tuple[Bools, Bools, Bools]) -> Chain:
    """The chain of fitted scores in which only what is allowed happens."""
    parts = zip((moves, first, last), allowed, strict=True)
    return Chain(*(np.where(mask, scores, _NEVER).astype(np.float64) for scores, mask in parts))


def beliefs(chain: Chain, scores: Floats, lengths: Ints) -> Beliefs:
    """Forward and backward probabilities.

    Args:
        chain: what follows what.
        scores: [n, t, tags], of each tag at each place.
        lengths: int [n], each at least 1 and at most t.
    """
    count, longest, _ = scores.shape
    top = scores.max(axis=2, keepdims=True)
    emissions = np.exp(np.maximum(scores - top, _FARTHEST).astype(np.float64))
    moves, last = np.exp(chain.moves), np.exp(chain.last)
    inside = np.arange(longest) < lengths[:, None]
    forward, backward = np.zeros_like(emissions), np.zeros_like(emissions)
    scales = np.ones((count, longest))
    ahead: Floats = np.exp(chain.first) * emissions[:, 0]
    for place in range(longest):
        if place:
            ahead = (ahead @ moves) * emissions[:, place]
        total = np.maximum(ahead.sum(axis=1), _TINY)
        scales[:, place] = np.where(inside[:, place], total, 1.0)
        ahead = ahead / total[:, None]
        forward[:, place] = ahead * inside[:, place, None]
    ends = forward[np.arange(count), lengths - 1] @ last
    rest: Floats = np.zeros((count, scores.shape[2]))
    for place in range(longest - 1, -1, -1):
        at_end = (lengths - 1 == place)[:, None]
        rest = np.where(at_end, last / np.maximum(ends, _TINY)[:, None], rest)
        backward[:, place] = rest * inside[:, place, None]
        rest = ((rest * emissions[:, place]) @ moves.T) / scales[:, place, None]
    log_total = ((np.log(scales) + top[..., 0]) * inside).sum(axis=1) + np.log(np.maximum(ends, _TINY))
    return Beliefs(forward, backward, emissions, scales, log_total)


def expected_moves(chain: Chain, found: Beliefs, weights: Floats) -> Floats:
    """How often each tag follows each other one, float64 [tags, tags], summed over sequences by their weights [n]."""
    before = found.forward[:, :-1] * weights[:, None, None]
    after = (found.backward * found.emissions / found.scales[..., None])[:, 1:]
    size = before.shape[2]
    counted: Floats = (before.reshape(-1, size).T @ after.reshape(-1, size)) * np.exp(chain.moves)
    return counted


def likelihood(chain: Chain, found: Beliefs, row: int, start: int, path: Ints) -> float:
    """Probability that a sequence's tags are those of a path [k] from a place on, whatever the others are."""
    value = float(found.forward[row, start, path[0]])
    for offset in range(1, len(path)):
        place = start + offset
        step = np.exp(chain.moves[path[offset - 1], path[offset]]) * found.emissions[row, place, path[offset]]
        value *= float(step / found.scales[row, place])
    return min(1.0, value * float(found.backward[row, start + len(path) - 1, path[-1]]))


def best_paths(chain: Chain, scores: Floats, lengths: Ints) -> list[Ints]:
    """The most probable tags of each sequence (Viterbi, 1967); arguments as in `beliefs`."""
    count, longest, size = scores.shape
    came_from = np.zeros((count, longest, size), dtype=np.int32)
    moves = chain.moves.astype(np.float32)
    best: Floats = (chain.first + scores[:, 0]).astype(np.float32)
    final: Floats = np.zeros((count, size))
    for place in range(longest):
        if place:
            ways = best[:, :, None] + moves
            came_from[:, place] = ways.argmax(axis=1)
            best = np.take_along_axis(ways, came_from[:, place, None], axis=1)[:, 0] + scores[:, place]
        # What counts is how they differ, which float32 would not hold beside the sum over a long sequence.
        best = best - best.max(axis=1, keepdims=True)
        final = np.where((lengths - 1 == place)[:, None], best + chain.last, final)
    return [_walk_back(came_from[row], int(final[row].argmax()), int(lengths[row])) for row in range(count)]


def _walk_back(came_from: Ints, tag: int, length: int) -> Ints:
    path = np.zeros(length, dtype=np.int64)
    for place in range(length - 1, -1, -1):
        path[place] = tag
        tag = int(came_from[place, tag])
    return path

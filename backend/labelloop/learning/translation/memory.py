"""A translation memory: sources that people have answered, their answers, and what the answers near a new source are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labelloop.errors import LearningError
from labelloop.learning.arrays import Array, Bools, Floats, Ints
from labelloop.learning.scaling import unit_rows
from labelloop.learning.translation.profiles import profiles

NEIGHBOURS: Final = 5
# Sources among which each can be forgotten together with the nearer half of the others.
LEAST_OTHERS: Final = 3
_ROWS_AT_ONCE: Final = 512
# How much farther an answer counts than the one before, far less than can be told: of equally near ones the first comes first.
_LATER: Final = 1e-13
# How fast a neighbour's say fades with the distance from the nearest, in cosine.
_FADES: Final = 0.1
# Closest that two sources can be told to lie.
_TOUCHING: Final = 0.01


@dataclass(frozen=True, slots=True)
class Found:
    """What a memory holds of n sources.

    Attributes:
        nearest: int [n], the number of the answer to suggest.
        signals: float64 [n, 3]: closeness of its source, from 0 (opposite) over 0.7 (unrelated) to 4.6 (the same); how much
            closer it is than the next, in [0, 1]; and how alike the answers of the nearest five are, in [-1, 1].
    """

    nearest: Ints
    signals: Floats


@dataclass(frozen=True, slots=True)
class Memory:
    """Answered sources.

    Attributes:
        centre: float32 [d], taken off every row of features.
        rows: float16 [N, d], the sources' features, centred and of length 1.
        texts: N answers.
        answers: float16 [N, 256], what the answers are like (`profiles`).
    """

    centre: Floats
    rows: NDArray[np.float16]
    texts: tuple[str, ...]
    answers: NDArray[np.float16]

    @classmethod
    def of(cls, features: Floats, texts: Sequence[str], centre: Floats) -> "Memory":
        """The memory of finite features [N, d] and their answers, at least one."""
        rows = unit_rows(features, centre).astype(np.float16)
        return cls(centre, rows, tuple(texts), profiles(texts).astype(np.float16))

    def different(self) -> Ints:
        """The items of different sources, int64 [n], ascending: of those of one source the first; all where fewer than three differ."""
        first: dict[bytes, int] = {}
        for place, row in enumerate(self.rows):
            first.setdefault(row.tobytes(), place)
        return np.array(list(first.values()) if len(first) >= LEAST_OTHERS else range(len(self.rows)), dtype=np.int64)

    def of_some(self, places: Ints) -> "Memory":
        """What it holds of the items at some places."""
        return Memory(self.centre, self.rows[places], tuple(self.texts[p] for p in places), self.answers[places])

    def find(self, features: Floats) -> Found:
        """What is near to features [n, d].

        Raises:
            LearningError: a row is not finite, or not as long as those remembered.
        """
        if features.ndim != 2 or features.shape[1] != self.centre.size:
            raise LearningError(
                f"The memory holds rows of {self.centre.size} features, not an array of shape {features.shape}; "
                "were they made by another backbone?"
            )
        if not np.isfinite(features).all():
            raise LearningError("Features that are not finite cannot be predicted; leave those items out.")
        return self._found(unit_rows(features, self.centre))

    def find_among_others(self, places: Ints, *, far: bool = False) -> Found:
        """What is near to the sources remembered at some places when each of them is forgotten itself.

        N is at least `LEAST_OTHERS`.

        Args:
            places: int [n].
            far: the nearer half of the others is forgotten too.
        """
        return self._found(self.rows[places].astype(np.float32), places, far)

    def arrays(self) -> dict[str, Array]:
        """The memory, ready for safetensors; texts as UTF-8, one after the other, with where each ends."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in self.texts]
        return {
            "centre": self.centre,
            "rows": self.rows,
            "answers": self.answers,
            "texts": np.frombuffer(b"".join(encoded) or b"\0", dtype=np.uint8).copy(),
            "text_ends": np.cumsum([len(text) for text in encoded], dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "Memory":
        """Restore what `arrays` gave."""
        data, ends = arrays["texts"].tobytes(), [0, *arrays["text_ends"].tolist()]
        texts = tuple(data[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(ends))
        return cls(arrays["centre"], arrays["rows"], texts, arrays["answers"])

    def _found(self, rows: Floats, without: Ints | None = None, far: bool = False) -> Found:
        parts = [
            self._part(
                rows[start : start + _ROWS_AT_ONCE], None if without is None else without[start:][:_ROWS_AT_ONCE], far
            )
            for start in range(0, max(len(rows), 1), _ROWS_AT_ONCE)
        ]
        return Found(np.concatenate([part.nearest for part in parts]), np.concatenate([part.signals for part in parts]))

    def _part(self, rows: Floats, without: Ints | None, far: bool) -> Found:
        known = self.rows.astype(np.float32)
        alike = np.clip(rows @ known.T, -1, 1).astype(np.float64) - _LATER * np.arange(len(known))
        if without is not None:
            alike[np.arange(len(rows)), without] = -np.inf
        count = len(known) - (without is not None)
        if far:
            nearer = np.argpartition(-alike, count // 2 - 1, axis=1)[:, : count // 2]
            np.put_along_axis(alike, nearer, -np.inf, axis=1)
            count -= count // 2
        count = min(NEIGHBOURS, count)
        near_ones = np.argpartition(-alike, count - 1, axis=1)[:, :count]
        ranks = np.argsort(-np.take_along_axis(alike, near_ones, axis=1), axis=1)
        order = np.take_along_axis(near_ones, ranks, axis=1)
        near = np.take_along_axis(alike, order, axis=1)
        closeness = -np.log((1 - near) / 2 * (1 - _TOUCHING) + _TOUCHING)
        gap = np.minimum(closeness[:, 0] - closeness[:, 1], 1.0) if count > 1 else np.zeros(len(rows))
        signals = np.column_stack([closeness[:, 0], gap, self._agreement(order, near)])
        return Found(order[:, 0], signals)

    def _agreement(self, order: Ints, near: Floats) -> Floats:
        """How alike the first answer is to the other neighbours', the nearer the more it counts; 0 without others."""
        if order.shape[1] < 2:
            return np.zeros(len(order))
        answers = self.answers[order].astype(np.float64)
        alike = np.einsum("nkd,nd->nk", answers[:, 1:], answers[:, 0])
        says = np.exp((near[:, 1:] - near[:, :1]) / _FADES)
        result: Floats = (alike * says).sum(axis=1) / says.sum(axis=1)
        return result


def finite_rows(features: Floats) -> Bools:
    """bool [n], whether each row of features [n, d] is finite."""
    return np.asarray(np.isfinite(features).all(axis=1), dtype=np.bool_)

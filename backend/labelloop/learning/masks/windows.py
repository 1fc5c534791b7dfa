"""Small windows of the maps of labelled images: what a head learns from at each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.masks.head import PARTS
from labelloop.learning.resampling import resampling

# Windows a step and cells a side of each: many images a step teach more than large pieces of few.
WINDOWS: Final = 8
SIDE: Final = 16
# Cells of each image that tell what its channels vary by.
SAMPLE: Final = 400


@dataclass(frozen=True, slots=True)
class Scale:
    """What is taken from each channel of a level, and what the rest is divided by, so that every channel counts alike.

    Attributes:
        centre: float32 [channels].
        spread: float32 [channels], above 0; infinite for a channel that is the same everywhere.
    """

    centre: Floats
    spread: Floats


@dataclass(frozen=True, slots=True)
class Lesson:
    """A labelled image to learn from.

    Attributes:
        levels: its maps, finite, [channels, rows, columns] each, finest first.
        coverage: uint8 [classes, PARTS * rows, PARTS * columns] of the finest level's size, background first; 255 where a part
            is wholly of the class.
        weight: how much it counts.
        taught: the backbone has learnt from it.
        told: the backbone's own logits, float32 [classes, PARTS * rows, PARTS * columns]; None: there are none.
    """

    levels: Sequence[Floats]
    coverage: Ints
    weight: float
    taught: bool = False
    told: Floats | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """The cells of one level that n windows reach, and how the windows' own cells are made of them.

    Mixing channels and bringing a level to the finest one's size are both linear, so a level is mixed at its own size first: the
    same numbers for a fraction of the work.

    Attributes:
        cells: torch float32 [n, channels, h, w], scaled; 0 in channels that are left out of a window.
        high: torch float32 [n, side, h], the weights of cells in the windows' rows.
        wide: torch float32 [n, side, w], in their columns.
    """

    cells: Any
    high: Any
    wide: Any


@dataclass(frozen=True, slots=True)
class Step:
    """What is learnt at one step.

    Attributes:
        levels: of n windows.
        wanted: torch float32 [n, classes, PARTS * side, PARTS * side], how much of each part is of each class, in [0, 1].
        weights: torch float32 [n].
        told: torch float32 like `wanted`, the backbone's own logits; None where it has none.
    """

    levels: Sequence[Reached]
    wanted: Any
    weights: Any
    told: Any


@dataclass(frozen=True, slots=True)
class _Window:
    lesson: Lesson
    top: int
    left: int
    down: int  # 1, or -1 where it is mirrored
    across: int


def fit_scales(lessons: Sequence[Lesson]) -> tuple[Scale, ...]:
    """The scales of each level's channels."""
    return tuple(_scale([lesson.levels[level] for lesson in lessons]) for level in range(len(lessons[0].levels)))


class Windows:
    """Windows of labelled images, drawn as they are asked for.

    Half of them lie anywhere, half on places of a class drawn first, so that rare classes are seen as often as others. They are
    mirrored at random: not the same as a mirrored image's maps, but near enough to teach. Channels are left out of each at random,
    and the others count for as much more (dropout; Srivastava et al., 2014).

    Args:
        lessons: at least one, all of the same classes and size.
        scales: of their levels.
        seed: decides the draws.
        dropped: the share of the channels that are left out of a window, below 1.
    """

    def __init__(self, lessons: Sequence[Lesson], scales: Sequence[Scale], seed: int, dropped: float = 0.0) -> None:
        self._lessons = lessons
        self._scales = scales
        self._dropped = dropped
        self._rng = np.random.default_rng(seed)
        _, self._rows, self._columns = lessons[0].levels[0].shape
        # Of each lesson and class, how many places lie in each row of parts and those above it.
        self._covered = [np.count_nonzero(lesson.coverage, axis=2).cumsum(axis=1) for lesson in lessons]
        some = np.array([covered[:, -1] > 0 for covered in self._covered])
        self._having = [
            (column, np.flatnonzero(some[:, column])) for column in np.flatnonzero(some.any(axis=0)).tolist()
        ]

    def step(self) -> Step:
        """The next windows."""
        import torch

        windows = [self._window(self._anywhere() if number % 2 else self._on_a_class()) for number in range(WINDOWS)]
        levels = [self._reached(windows, level, scale) for level, scale in enumerate(self._scales)]
        wanted = np.stack([_cut(window, window.lesson.coverage) for window in windows]).astype(np.float32) / 255
        weights = torch.tensor([window.lesson.weight for window in windows], dtype=torch.float32)
        told = [_cut(window, window.lesson.told) for window in windows if window.lesson.told is not None]
        return Step(levels, torch.from_numpy(wanted), weights, torch.from_numpy(np.stack(told)) if told else None)

    def _window(self, place: tuple[int, int, int]) -> _Window:
        number, top, left = place
        down, across = self._rng.choice([-1, 1], 2).tolist()
        return _Window(self._lessons[number], top, left, down, across)

    def _anywhere(self) -> tuple[int, int, int]:
        """A lesson's number, and the top left cell."""
        number = int(self._rng.integers(len(self._lessons)))
        top, left = (int(self._rng.integers(max(1, cells - SIDE + 1))) for cells in (self._rows, self._columns))
        return number, top, left

    def _on_a_class(self) -> tuple[int, int, int]:
        """The same of a window that holds a place of a class drawn at random."""
        column, having = self._having[self._rng.integers(len(self._having))]
        number = int(having[self._rng.integers(having.size)])
        covered = self._covered[number][column]
        drawn = int(self._rng.integers(covered[-1]))
        row = int(np.searchsorted(covered, drawn, side="right"))
        before = int(covered[row - 1]) if row else 0
        place = int(np.flatnonzero(self._lessons[number].coverage[column, row])[drawn - before])
        top = int(np.clip(row // PARTS - self._rng.integers(SIDE), 0, max(0, self._rows - SIDE)))
        left = int(np.clip(place // PARTS - self._rng.integers(SIDE), 0, max(0, self._columns - SIDE)))
        return number, top, left

    def _reached(self, windows: Sequence[_Window], level: int, scale: Scale) -> Reached:
        import torch

        _, rows, columns = self._lessons[0].levels[level].shape
        tops, high = _reaches(rows, self._rows)
        lefts, wide = _reaches(columns, self._columns)
        tall, broad = high.shape[2], wide.shape[2]
        cells = np.stack(
            [one.lesson.levels[level][:, tops[one.top] :, lefts[one.left] :][:, :tall, :broad] for one in windows]
        )
        # Torch makes float32 of float16 faster than numpy does.
        scaled = torch.from_numpy(cells).float() - torch.from_numpy(scale.centre)[:, None, None]
        return Reached(
            scaled.mul_(torch.from_numpy(self._worth(len(windows), scale))[:, :, None, None]),
            torch.from_numpy(np.stack([high[one.top][:: one.down] for one in windows])),
            torch.from_numpy(np.stack([wide[one.left][:: one.across] for one in windows])),
        )

    def _worth(self, count: int, scale: Scale) -> Floats:
        """What each channel of a level counts for in each window, float32 [count, channels]; 0 where it is left out."""
        kept = self._rng.random((count, len(scale.spread)), dtype=np.float32) >= self._dropped
        worth: Floats = kept / (scale.spread * np.float32(1 - self._dropped))
        return worth


def _scale(levels: Sequence[Floats]) -> Scale:
    """Of one level of all images; a few hundred cells of each tell enough."""
    rows = np.concatenate([level.reshape(len(level), -1)[:, :: max(1, level[0].size // SAMPLE)].T for level in levels])
    spread = rows.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 1e-6, spread, np.inf)
    return Scale(rows.mean(axis=0, dtype=np.float64).astype(np.float32), spread.astype(np.float32))


@lru_cache(maxsize=16)
def _reaches(given: int, wanted: int) -> tuple[list[int], Floats]:
    """Of windows by where they start among the cells wanted: the first of k cells given that they reach, and weights
    [starts, side, k] of those.
    """
    table = resampling(given, wanted)
    side = min(SIDE, wanted)
    parts = [table[start : start + side] for start in range(wanted - side + 1)]
    reached = [np.flatnonzero(part.any(axis=0)) for part in parts]
    most = max(int(cells[-1] - cells[0]) + 1 for cells in reached)
    firsts = [min(int(cells[0]), given - most) for cells in reached]
    return firsts, np.stack([part[:, first : first + most] for part, first in zip(parts, firsts, strict=True)])


def _cut(window: _Window, values: Array) -> Array:
    """A window of values [classes, PARTS * rows, PARTS * columns]."""
    high, wide = (slice(PARTS * start, PARTS * (start + SIDE)) for start in (window.top, window.left))
    return values[:, high, wide][:, :: window.down, :: window.across]

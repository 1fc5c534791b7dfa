"""Training the head, in torch, on small windows of the maps of labelled images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.masks.head import PARTS, MaskHead
from labelloop.learning.resampling import resampling
from labelloop.learning.threads import one_thread

WIDTH: Final = 32
# Windows a step and cells a side of each: many images a step teach more than large pieces of few.
WINDOWS: Final = 8
SIDE: Final = 16
STEPS: Final = 600
RATE: Final = 1e-2
DECAY: Final = 1e-2
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
    """

    levels: Sequence[Floats]
    coverage: Ints
    weight: float
    taught: bool = False


def fit_scales(lessons: Sequence[Lesson]) -> tuple[Scale, ...]:
    """The scales of each level's channels."""
    return tuple(_scale([lesson.levels[level] for lesson in lessons]) for level in range(len(lessons[0].levels)))


def fit_head(lessons: Sequence[Lesson], scales: Sequence[Scale], seed: int, share: float = 1.0) -> MaskHead:
    """Train a head.

    What it learns of each part of a cell is how much of it each class covers, so that its logits cross where a boundary
    runs through a cell. Half of the windows lie anywhere, half on places of a class drawn first, so that rare classes are seen
    as often as others. They are mirrored at random: not the same as a mirrored image's maps, but near enough to teach.

    Args:
        lessons: at least one, all of the same classes and size.
        scales: of their levels.
        seed: decides the first weights, the windows and the mirroring.
        share: of the usual work that is done.
    """
    import torch

    rng = np.random.default_rng(seed)
    steps = max(1, round(STEPS * share))
    places = _places(lessons)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(sum(len(scale.centre) for scale in scales), len(lessons[0].coverage))
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
        for _ in range(steps):
            cells, wanted, weights = _windows(lessons, scales, places, rng)
            likelihood = torch.log_softmax(network(cells), dim=1)
            loss = -((wanted * likelihood).sum(dim=1).mean(dim=(1, 2)) * weights).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return _head(network, scales)


def _scale(levels: Sequence[Floats]) -> Scale:
    """Of one level of all images; a few hundred cells of each tell enough."""
    rows = np.concatenate([level.reshape(len(level), -1)[:, :: max(1, level[0].size // SAMPLE)].T for level in levels])
    spread = rows.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 1e-6, spread, np.inf)
    return Scale(rows.mean(axis=0, dtype=np.float64).astype(np.float32), spread.astype(np.float32))


def _places(lessons: Sequence[Lesson]) -> list[tuple[int, list[int]]]:
    """The classes that cover something, each with the lessons in which it does."""
    some = np.array([lesson.coverage.any(axis=(1, 2)) for lesson in lessons])
    return [(column, np.flatnonzero(some[:, column]).tolist()) for column in np.flatnonzero(some.any(axis=0)).tolist()]


def _windows(
    lessons: Sequence[Lesson], scales: Sequence[Scale], places: list[tuple[int, list[int]]], rng: np.random.Generator
) -> tuple[Any, Any, Any]:
    """Windows of cells [n, channels, SIDE, SIDE], what is wanted of their parts [n, classes, ...] in [0, 1], and weights [n]."""
    import torch

    cells, wanted, weights = [], [], []
    for number in range(WINDOWS):
        lesson, top, left = _anywhere(lessons, rng) if number % 2 else _on_a_class(lessons, places, rng)
        down, across = (slice(None, None, int(step)) for step in rng.choice([-1, 1], 2))
        cells.append(_cells(lesson, scales, top, left)[:, down, across])
        high, wide = (slice(PARTS * start, PARTS * (start + SIDE)) for start in (top, left))
        wanted.append(lesson.coverage[:, high, wide][:, down, across])
        weights.append(lesson.weight)
    return (
        torch.from_numpy(np.stack(cells)),
        torch.from_numpy(np.stack(wanted).astype(np.float32) / 255),
        torch.tensor(weights, dtype=torch.float32),
    )


def _cells(lesson: Lesson, scales: Sequence[Scale], top: int, left: int) -> Floats:
    """The scaled channels of all levels of a window of the finest one, float32 [channels, SIDE, SIDE]."""
    _, rows, columns = lesson.levels[0].shape
    parts = []
    for level, scale in zip(lesson.levels, scales, strict=True):
        high, down = _reaching(level.shape[1], rows, top)
        wide, across = _reaching(level.shape[2], columns, left)
        reached = level[:, down, across].astype(np.float32)
        scaled = (reached - scale.centre[:, None, None]) / scale.spread[:, None, None]
        # Two products of whole matrices: one for each channel would take many times as long.
        widened = (scaled.reshape(-1, wide.shape[1]) @ wide.T).reshape(len(level), high.shape[1], -1)
        parts.append(np.tensordot(high, widened, axes=(1, 1)).transpose(1, 0, 2))
    return np.concatenate(parts)


def _reaching(given: int, wanted: int, start: int) -> tuple[Floats, slice]:
    """Weights [SIDE, k] of the k cells given that a window of the cells wanted reaches, and which those are."""
    weights = resampling(given, wanted)[start : start + SIDE]
    reached = np.flatnonzero(weights.any(axis=0))
    cells = slice(int(reached[0]), int(reached[-1]) + 1)
    return weights[:, cells], cells


def _anywhere(lessons: Sequence[Lesson], rng: np.random.Generator) -> tuple[Lesson, int, int]:
    lesson = lessons[int(rng.integers(len(lessons)))]
    _, rows, columns = lesson.levels[0].shape
    return lesson, int(rng.integers(max(1, rows - SIDE + 1))), int(rng.integers(max(1, columns - SIDE + 1)))


def _on_a_class(
    lessons: Sequence[Lesson], places: list[tuple[int, list[int]]], rng: np.random.Generator
) -> tuple[Lesson, int, int]:
    """A window that holds a place of a class drawn at random."""
    column, having = places[rng.integers(len(places))]
    lesson = lessons[having[rng.integers(len(having))]]
    _, rows, columns = lesson.levels[0].shape
    covered = np.flatnonzero(lesson.coverage[column])
    row, place = divmod(int(covered[rng.integers(covered.size)]), PARTS * columns)
    top = int(np.clip(row // PARTS - rng.integers(SIDE), 0, max(0, rows - SIDE)))
    left = int(np.clip(place // PARTS - rng.integers(SIDE), 0, max(0, columns - SIDE)))
    return lesson, top, left


def _network(channels: int, classes: int) -> Any:
    import torch

    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, WIDTH, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="replicate"),
        torch.nn.ReLU(),
        torch.nn.Conv2d(WIDTH, classes * PARTS**2, 1),
        torch.nn.PixelShuffle(PARTS),
    )


def _head(network: Any, scales: Sequence[Scale]) -> MaskHead:
    """The trained layers as numpy arrays, the scales taken into the first."""
    mix, around, tell = (network[place] for place in (0, 2, 4))

    def numbers(tensor: Any) -> NDArray[np.float32]:
        values: NDArray[np.float32] = tensor.detach().numpy().copy()
        return values

    ends = np.cumsum([len(scale.centre) for scale in scales])[:-1]
    parts = np.split(numbers(mix.weight)[:, :, 0, 0], ends, axis=1)
    weights = [part / scale.spread for part, scale in zip(parts, scales, strict=True)]
    bias = numbers(mix.bias) - sum(weight @ scale.centre for weight, scale in zip(weights, scales, strict=True))
    arrays: dict[str, Array] = {
        f"mix.{level}.weight": np.ascontiguousarray(weight) for level, weight in enumerate(weights)
    }
    arrays["mix.bias"] = bias.astype(np.float32)
    arrays["around.weight"] = np.ascontiguousarray(numbers(around.weight).transpose(0, 2, 3, 1))
    arrays["around.bias"] = numbers(around.bias)
    arrays["tell.weight"], arrays["tell.bias"] = numbers(tell.weight)[:, :, 0, 0], numbers(tell.bias)
    return MaskHead(arrays)

"""Training the head, in torch, on small windows of the maps of labelled images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.masks.head import PARTS, MaskHead, mixed
from labelloop.learning.resampling import resampled, resampling
from labelloop.learning.threads import one_thread

WIDTH: Final = 32
# Axes kept of the channels of all levels, and the least share of the widest one's variance that is one.
AXES: Final = 64
LEAST_VARIANCE: Final = 1e-4
# Windows a step and cells a side of each: many images a step teach more than large pieces of few.
WINDOWS: Final = 8
SIDE: Final = 16
STEPS: Final = 600
RATE: Final = 1e-2
DECAY: Final = 1e-2
# Cells a side whose channels tell what they vary by.
SAMPLE: Final = 20


@dataclass(frozen=True, slots=True)
class Whitening:
    """How the channels of all levels together are centred and turned onto uncorrelated axes of variance 1.

    Attributes:
        shift: float32 [axes], taken away after turning.
        axes: float32 [axes, channels] of each level.
    """

    shift: Floats
    axes: tuple[Floats, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A labelled image to learn from.

    Attributes:
        cells: float16 [axes, rows, columns], its whitened maps at the finest level's size.
        coverage: uint8 [classes, PARTS * rows, PARTS * columns], background first; 255 where a part is wholly of the class.
        weight: how much it counts.
    """

    cells: Floats
    coverage: Ints
    weight: float


def fit_whitening(images: Sequence[Sequence[Floats]]) -> Whitening:
    """Principal axes of the channels of all levels, of up to `AXES` that matter.

    Each channel counts alike, and fewer of them are less work at each step.

    Args:
        images: the levels of each, [channels, rows, columns], finest first.
    """
    rows = np.concatenate([_sampled(levels) for levels in images]).astype(np.float64)
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 1e-6, spread, np.inf)
    rows = (rows - centre) / spread
    variances, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    kept = np.flatnonzero(variances > max(LEAST_VARIANCE * variances[-1], 1e-12))[-AXES:]
    basis = axes[:, kept].T / np.sqrt(variances[kept, None]) / spread
    ends = np.cumsum([len(level) for level in images[0]])[:-1]
    parts = np.split(basis.astype(np.float32), ends, axis=1)
    return Whitening((basis @ centre).astype(np.float32), tuple(np.ascontiguousarray(part) for part in parts))


def whitened(levels: Sequence[Floats], whitening: Whitening) -> Floats:
    """The levels as one grid of the finest one's size, float16 [axes, rows, columns]."""
    _, rows, columns = levels[0].shape
    total = -whitening.shift[:, None, None]
    for level, axes in zip(levels, whitening.axes, strict=True):
        total = total + resampled(mixed(level, axes), rows, columns)
    return np.clip(total, -100, 100).astype(np.float16)


def fit_head(lessons: Sequence[Lesson], whitening: Whitening, seed: int, share: float = 1.0) -> MaskHead:
    """Train a head.

    What it learns of each part of a cell is how much of it each class covers, so that its logits cross where a boundary
    runs through a cell. Half of the windows lie anywhere, half on places of a class drawn first, so that rare classes are seen
    as often as others. They are mirrored at random: not the same as a mirrored image's maps, but near enough to teach.

    Args:
        lessons: at least one, all of the same classes and size.
        whitening: of their cells.
        seed: decides the first weights, the windows and the mirroring.
        share: of the usual work that is done.
    """
    import torch

    rng = np.random.default_rng(seed)
    steps = max(1, round(STEPS * share))
    places = _places(lessons)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(len(lessons[0].cells), len(lessons[0].coverage))
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
        for _ in range(steps):
            cells, wanted, weights = _windows(lessons, places, rng)
            likelihood = torch.log_softmax(network(cells), dim=1)
            loss = -((wanted * likelihood).sum(dim=1).mean(dim=(1, 2)) * weights).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return _head(network, whitening)


def _sampled(levels: Sequence[Floats]) -> Floats:
    """[cells, channels of all levels] of some cells of the finest level, evenly spread."""
    _, rows, columns = levels[0].shape
    down = np.linspace(0, rows - 1, min(SAMPLE, rows)).astype(int)
    across = np.linspace(0, columns - 1, min(SAMPLE, columns)).astype(int)
    parts = []
    for level in levels:
        known = np.nan_to_num(level.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        picked = resampling(level.shape[1], rows)[down] @ known @ resampling(level.shape[2], columns)[across].T
        parts.append(picked.reshape(len(level), -1))
    return np.concatenate(parts).T


def _places(lessons: Sequence[Lesson]) -> list[tuple[int, list[int]]]:
    """The classes that cover something, each with the lessons in which it does."""
    some = np.array([lesson.coverage.any(axis=(1, 2)) for lesson in lessons])
    return [(column, np.flatnonzero(some[:, column]).tolist()) for column in np.flatnonzero(some.any(axis=0)).tolist()]


def _windows(
    lessons: Sequence[Lesson], places: list[tuple[int, list[int]]], rng: np.random.Generator
) -> tuple[Any, Any, Any]:
    """Windows of cells [n, axes, SIDE, SIDE], what is wanted of their parts [n, classes, ...] in [0, 1], and weights [n]."""
    import torch

    cells, wanted, weights = [], [], []
    for number in range(WINDOWS):
        lesson, top, left = _anywhere(lessons, rng) if number % 2 else _on_a_class(lessons, places, rng)
        down, across = (slice(None, None, int(step)) for step in rng.choice([-1, 1], 2))
        high, wide = slice(top, top + SIDE), slice(left, left + SIDE)
        cells.append(lesson.cells[:, high, wide][:, down, across])
        fine = slice(PARTS * top, PARTS * (top + SIDE)), slice(PARTS * left, PARTS * (left + SIDE))
        wanted.append(lesson.coverage[:, fine[0], fine[1]][:, down, across])
        weights.append(lesson.weight)
    return (
        torch.from_numpy(np.stack(cells).astype(np.float32)),
        torch.from_numpy(np.stack(wanted).astype(np.float32) / 255),
        torch.tensor(weights, dtype=torch.float32),
    )


def _anywhere(lessons: Sequence[Lesson], rng: np.random.Generator) -> tuple[Lesson, int, int]:
    lesson = lessons[rng.integers(len(lessons))]
    _, rows, columns = lesson.cells.shape
    return lesson, int(rng.integers(max(1, rows - SIDE + 1))), int(rng.integers(max(1, columns - SIDE + 1)))


def _on_a_class(
    lessons: Sequence[Lesson], places: list[tuple[int, list[int]]], rng: np.random.Generator
) -> tuple[Lesson, int, int]:
    """A window that holds a place of a class drawn at random."""
    column, having = places[rng.integers(len(places))]
    lesson = lessons[having[rng.integers(len(having))]]
    _, rows, columns = lesson.cells.shape
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


def _head(network: Any, whitening: Whitening) -> MaskHead:
    """The trained layers as numpy arrays, the whitening taken into the first."""
    mix, around, tell = (network[place] for place in (0, 2, 4))

    def numbers(tensor: Any) -> Floats:
        values: Floats = tensor.detach().numpy().copy()
        return values

    weight = numbers(mix.weight)[:, :, 0, 0]
    arrays = {f"mix.{level}.weight": weight @ axes for level, axes in enumerate(whitening.axes)}
    arrays["mix.bias"] = numbers(mix.bias) - weight @ whitening.shift
    arrays["around.weight"] = np.ascontiguousarray(numbers(around.weight).transpose(0, 2, 3, 1))
    arrays["around.bias"] = numbers(around.bias)
    arrays["tell.weight"], arrays["tell.bias"] = numbers(tell.weight)[:, :, 0, 0], numbers(tell.bias)
    return MaskHead(arrays)

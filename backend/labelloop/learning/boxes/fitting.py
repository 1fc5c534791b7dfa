"""Training the head, in torch, on the grids of labelled images."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.boxes.head import FURTHEST, LAYERS, BoxHead
from labelloop.learning.boxes.lessons import Lesson, Truth, balance, make_lesson, usual_sides
from labelloop.learning.threads import one_thread

WIDTH: Final = 64
BATCH: Final = 4
RATE: Final = 6e-3
DECAY: Final = 1e-2
# Weight of the sides beside the classes, as in TTFNet.
SIDES: Final = 5.0
# How probable a centre is to begin with: nearly no cell has one.
PRIOR: Final = 0.02
# Of the cells every so many tell what the channels vary by, and axes of less than this share of the widest are left out.
STRIDE: Final = 3
LEAST_VARIANCE: Final = 1e-4
# How often the images are gone through; more often where they are few, less where they are many.
LEAST_VISITS: Final = 1000
MOST_VISITS: Final = 1600
PASSES: Final = 20


def fit_head(grids: Sequence[Floats], truths: Sequence[Truth], classes: int, seed: int, share: float = 1.0) -> BoxHead:
    """Train a head.

    Mirrored grids stand in for those of mirrored images. They are not the same, since a network treats left and right a
    little differently, but near enough to teach.

    Args:
        grids: n of them, at least one, float [C, rows, columns].
        truths: n of them, at least one of which has a box.
        classes: how many there are.
        seed: decides the first weights, the order and the mirroring.
        share: of the usual work that is done.
    """
    import torch

    _, rows, columns = grids[0].shape
    scales = usual_sides(truths, classes, rows, columns)
    class_weights = balance(truths, classes)
    lessons = [make_lesson(truth, scales, class_weights, rows, columns) for truth in truths]
    centre, basis = _whitening(grids)
    cells = [_whitened(grid, centre, basis) for grid in grids]
    weights = np.array([truth.weight for truth in truths], dtype=np.float32)
    rng = np.random.default_rng(seed)
    batches = _batches(len(grids), share, rng)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(len(basis), classes)
        optimizer = torch.optim.AdamW(network.parameters(), RATE, betas=(0.9, 0.99), weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=len(batches), pct_start=0.2)
        for batch in batches:
            chosen = np.stack([cells[i] for i in batch])
            given = _mirrored(chosen, [lessons[i] for i in batch], bool(rng.integers(2)), bool(rng.integers(2)))
            optimizer.zero_grad()
            loss = _loss(network, given, torch.from_numpy(weights[batch]), torch.from_numpy(class_weights))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
            schedule.step()
    arrays = _weights(network)
    return BoxHead({**arrays, "mix.weight": arrays["mix.weight"] @ basis, "centre": centre, "scales": scales})


def _whitening(grids: Sequence[Floats]) -> tuple[Floats, Floats]:
    """The mean [C] of the cells and their principal axes [k, C], scaled to variance 1, of up to `WIDTH` that matter, float32.

    Each channel counts alike. Fewer channels are less work at each step, and none of them drowns the others.
    """
    rows = np.concatenate([grid.reshape(len(grid), -1)[:, ::STRIDE].T for grid in grids]).astype(np.float64)
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 1e-6, spread, np.inf)
    rows = (rows - centre) / spread
    variances, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    kept = np.flatnonzero(variances > LEAST_VARIANCE * variances[-1])[-WIDTH:]
    basis = axes[:, kept].T / np.sqrt(variances[kept, None]) / spread
    return centre.astype(np.float32), basis.astype(np.float32)


def _whitened(grid: Floats, centre: Floats, basis: Floats) -> Floats:
    channels, rows, columns = grid.shape
    flat: Floats = basis @ (grid.reshape(channels, -1) - centre[:, None])
    return flat.reshape(-1, rows, columns)


def _batches(items: int, share: float, rng: np.random.Generator) -> list[Ints]:
    """Rows of each step: the items in ever new orders."""
    visits = int(share * np.clip(PASSES * items, LEAST_VISITS, MOST_VISITS))
    passes = -(-visits // items)
    order = np.concatenate([rng.permutation(items) for _ in range(passes)])
    return [order[start : start + BATCH] for start in range(0, visits, BATCH)]


def _mirrored(cells: Floats, lessons: Sequence[Lesson], across: bool, down: bool) -> tuple[Any, Any, Any, Any]:
    """Cells, heat, sides and weights as tensors, mirrored left to right, top to bottom."""
    import torch

    parts = (
        cells,
        np.stack([one.heat for one in lessons]),
        np.stack([one.sides for one in lessons]),
        np.stack([one.weights for one in lessons])[:, None],
    )
    order = [2 if across else 0, 3 if down else 1, 0 if across else 2, 1 if down else 3]
    axes = [axis for axis, yes in ((-1, across), (-2, down)) if yes]
    turned = [np.flip(part, axes) for part in (parts[0], parts[1], parts[2][:, order], parts[3])]
    first, second, third, fourth = (torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)) for part in turned)
    return first.contiguous(memory_format=torch.channels_last), second, third, fourth


def _network(channels: int, classes: int) -> Any:
    import torch
    from torch import nn

    parts = {"mix": nn.Conv2d(channels, WIDTH, 1), "tell": nn.Conv2d(WIDTH, classes + 4, 1)}
    for layer in range(LAYERS):
        parts[f"around{layer}"] = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False)
        parts[f"across{layer}"] = nn.Conv2d(WIDTH, WIDTH, 1)
    with torch.no_grad():
        nn.init.kaiming_normal_(parts["mix"].weight, nonlinearity="relu")
        nn.init.normal_(parts["tell"].weight, std=0.01)
        bias: Any = parts["tell"].bias
        bias.zero_()
        bias[:classes] = float(np.log(PRIOR / (1 - PRIOR)))
    # Looking around takes a third of the time where the channels of a cell lie together.
    return nn.ModuleDict(parts).to(memory_format=torch.channels_last)


def _told(network: Any, cells: Any) -> Any:
    from torch.nn.functional import relu

    seen = relu(network["mix"](cells))
    for layer in range(LAYERS):
        seen = relu(network[f"across{layer}"](network[f"around{layer}"](seen)) + seen)
    return network["tell"](seen)


def _loss(network: Any, given: tuple[Any, Any, Any, Any], image_weights: Any, class_weights: Any) -> Any:
    """Penalty-reduced focal loss of the centres (Zhou et al., 2019) and GIoU loss of the sides (Rezatofighi et al., 2019)."""
    cells, heat, sides, weights = given
    told = _told(network, cells)
    boxes = (heat >= 1).sum().clamp(min=1)
    centres = _focal(told[:, :-4], heat, image_weights, class_weights)
    return (centres + SIDES * _giou(told[:, -4:], sides, weights, image_weights)) / boxes


def _focal(logits: Any, heat: Any, image_weights: Any, class_weights: Any) -> Any:
    from torch.nn.functional import logsigmoid

    centre = (heat >= 1).float()
    probability = logits.sigmoid()
    found = centre * (1 - probability) ** 2 * logsigmoid(logits)
    left = (1 - centre) * (1 - heat) ** 4 * probability**2 * logsigmoid(-logits)
    return -((found + left).sum(dim=(2, 3)) * class_weights * image_weights[:, None]).sum()


def _giou(told: Any, sides: Any, weights: Any, image_weights: Any) -> Any:
    """Sides are distances from one point, so the least of two of them is what is shared and the largest what encloses both."""
    import torch

    given = told.clamp(-FURTHEST, FURTHEST).exp()
    least, most = torch.minimum(given, sides), torch.maximum(given, sides)
    shared, around = _area(least), _area(most)
    union = _area(given) + _area(sides) - shared
    loss = 1 - shared / union.clamp(min=1e-6) + (around - union) / around.clamp(min=1e-6)
    return ((loss * weights[:, 0]).sum(dim=(1, 2)) * image_weights).sum()


def _area(sides: Any) -> Any:
    return (sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3])


def _weights(network: Any) -> dict[str, Floats]:
    """The network's weights by the names of `BoxHead.arrays`."""
    state = {name: tensor.detach().numpy().copy() for name, tensor in network.state_dict().items()}
    arrays = {
        f"{name}.{part}": _flat(state[f"{name}.{part}"]) for name in ("mix", "tell") for part in ("weight", "bias")
    }
    for layer in range(LAYERS):
        arrays[f"around.{layer}.weight"] = state[f"around{layer}.weight"][:, 0]
        arrays[f"across.{layer}.weight"] = _flat(state[f"across{layer}.weight"])
        arrays[f"across.{layer}.bias"] = state[f"across{layer}.bias"]
    return arrays


def _flat(array: Floats) -> Floats:
    return array.reshape(array.shape[0], array.shape[1]) if array.ndim == 4 else array

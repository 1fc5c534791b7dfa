"""Training the head, in torch, on the grids of labelled images."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.boxes.grids import USUAL_CELLS
from labelloop.learning.boxes.head import FURTHEST, LAYERS, BoxHead
from labelloop.learning.boxes.lessons import Lesson, Truth, balance, make_lesson, usual_sides
from labelloop.learning.threads import one_thread

WIDTH: Final = 64
BATCH: Final = 4
RATE: Final = 6e-3
DECAY: Final = 1e-2
# Weight of the sides beside the classes, as in TTFNet.
SIDES: Final = 5.0
# Gradients longer than this are cut.
LONGEST: Final = 10.0
# How probable a centre is to begin with: nearly no cell has one.
PRIOR: Final = 0.02
# Of the cells every so many tell what the channels vary by, and axes of less than this share of the widest are left out.
STRIDE: Final = 3
LEAST_VARIANCE: Final = 1e-4
# Cells of all images that tell it: more would take gigabytes where images are many, and tell the same.
MOST_CELLS: Final = 200_000
# How often an image is visited; the images are gone through often where they are few, and a few times where they are many. More
# visits fit the sides a little better and find no more: at 100 images of blood cells and two seeds, 700, 1000 and 1600 visits gave
# a mAP50 of 0.847, 0.849 and 0.834, and a mAP of 0.40, 0.41 and 0.41.
LEAST_VISITS: Final = 1000
MOST_VISITS: Final = 1600
PASSES: Final = 3
# The share of them on a grid of many cells, each visit of which takes four times as long.
LESS: Final = 0.5


def fit_head(grids: Sequence[Floats], truths: Sequence[Truth], classes: int, seed: int, share: float = 1.0) -> BoxHead:
    """Train a head.

    Maps are not mirrored for more variety: a network treats left and right differently, and a head taught on mirrored maps
    of unmirrored images finds less.

    Args:
        grids: n of them, at least one, float [C, rows, columns].
        truths: n of them, at least one of which has a box.
        classes: how many there are.
        seed: decides the first weights and the order.
        share: of the usual work that is done.
    """
    import torch

    _, rows, columns = grids[0].shape
    scales, class_weights = usual_sides(truths, classes, rows, columns), balance(truths, classes)
    lessons = [make_lesson(truth, scales, class_weights, rows, columns) for truth in truths]
    rng = np.random.default_rng(seed)
    with one_thread():
        centre, basis = _whitening(grids)
        items = [_tensors(_whitened(grid, centre, basis), lesson) for grid, lesson in zip(grids, lessons, strict=True)]
        image_weights = torch.tensor([truth.weight for truth in truths], dtype=torch.float32)
        network = _network(len(basis), classes, rng)
        batches = _batches(len(grids), share if max(rows, columns) <= USUAL_CELLS else share * LESS, rng)
        optimizer = torch.optim.AdamW(network.parameters(), RATE, betas=(0.9, 0.99), weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=len(batches), pct_start=0.2)
        for batch in batches:
            given = [torch.stack(parts) for parts in zip(*(items[i] for i in batch), strict=True)]
            optimizer.zero_grad()
            loss = _loss(network, given, image_weights[batch], torch.from_numpy(class_weights))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), LONGEST)
            optimizer.step()
            schedule.step()
        arrays = _weights(network)
        return BoxHead({**arrays, "mix.weight": arrays["mix.weight"] @ basis, "centre": centre, "scales": scales})


def _whitening(grids: Sequence[Floats]) -> tuple[Floats, Floats]:
    """The mean [C] of the cells and their principal axes [k, C], scaled to variance 1, of up to `WIDTH` that matter, float32.

    Each channel counts alike. Fewer channels are less work at each step, and none of them drowns the others.
    """
    # An odd step, so that cells of all columns are among them.
    step = max(STRIDE, len(grids) * grids[0][0].size // MOST_CELLS | 1)
    # Copies, or all of the grids would be there until they are put together.
    rows = np.concatenate([grid.reshape(len(grid), -1)[:, ::step].T.copy() for grid in grids], dtype=np.float64)
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 1e-6, spread, np.inf)
    # In place, since the rows take hundreds of megabytes.
    rows -= centre
    rows /= spread
    variances, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    # Of images that are all one colour nothing varies; their axes are kept, and what lies along them is 0.
    kept = np.flatnonzero(variances >= LEAST_VARIANCE * variances[-1])[-WIDTH:]
    basis = axes[:, kept].T / np.sqrt(np.maximum(variances[kept, None], np.finfo(np.float64).tiny)) / spread
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


def _tensors(cells: Floats, lesson: Lesson) -> list[Any]:
    """The cells, heat, sides and weights of one image."""
    import torch

    return [torch.from_numpy(array) for array in (cells, lesson.heat, lesson.sides, lesson.weights)]


def _network(channels: int, classes: int, rng: np.random.Generator) -> Any:
    """The layers of `BoxHead` with first weights; torch's own state of chance is left alone, since heads are trained side by side."""
    import torch

    parts = {"mix": _layer(rng, channels, WIDTH, gain=2), "tell": _layer(rng, WIDTH, classes + 4, gain=0.01)}
    for layer in range(LAYERS):
        parts[f"around{layer}"] = _layer(rng, WIDTH, WIDTH, gain=1 / 3, size=3, alone=True)
        parts[f"across{layer}"] = _layer(rng, WIDTH, WIDTH, gain=1 / 3)
    parts["tell"].bias.data[:classes] = float(np.log(PRIOR / (1 - PRIOR)))
    # Looking around takes a third of the time where the channels of a cell lie together.
    return torch.nn.ModuleDict(parts).to(memory_format=torch.channels_last)


def _layer(
    rng: np.random.Generator, inputs: int, outputs: int, *, gain: float, size: int = 1, alone: bool = False
) -> Any:
    """A convolution with normal weights of variance gain / inputs of a cell (He et al., 2015); `alone`: each channel by itself."""
    import torch

    more = {"padding": size // 2, "groups": inputs if alone else 1, "bias": not alone}
    empty: Any = torch.nn.utils.skip_init  # it has no types
    layer = empty(torch.nn.Conv2d, inputs, outputs, size, **more)
    shape = tuple(layer.weight.shape)
    drawn = rng.normal(0, np.sqrt(gain / np.prod(shape[1:])), shape)
    layer.weight.data.copy_(torch.from_numpy(drawn))
    if layer.bias is not None:
        layer.bias.data.zero_()
    return layer


def _told(network: Any, cells: Any) -> Any:
    from torch.nn.functional import relu

    seen = relu(network["mix"](cells))
    for layer in range(LAYERS):
        seen = relu(network[f"across{layer}"](network[f"around{layer}"](seen)) + seen)
    return network["tell"](seen)


def _loss(network: Any, given: Sequence[Any], image_weights: Any, class_weights: Any) -> Any:
    """Penalty-reduced focal loss of the centres (Zhou et al., 2019) and GIoU loss of the sides (Rezatofighi et al., 2019)."""
    import torch

    cells, heat, sides, weights = given
    told = _told(network, cells.contiguous(memory_format=torch.channels_last))
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
    return ((loss * weights).sum(dim=(1, 2)) * image_weights).sum()


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

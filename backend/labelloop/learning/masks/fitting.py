"""Training the head, in torch, on small windows of the maps of labelled images."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from labelloop.learning.arrays import Array
from labelloop.learning.masks.head import PARTS, MaskHead
from labelloop.learning.masks.windows import Lesson, Reached, Scale, Windows
from labelloop.learning.threads import one_thread

# Channels that the first layer mixes, and those that the second makes of them. Over four splits of nuclei and three seeds, 32 and 32
# gave a Dice coefficient of 0.861 at 30 images, 48 and 24 gave 0.865 in about the same time, and 64 and 64 0.867 in twice the time.
MIXED: Final = 48
AROUND: Final = 24
# At 30 images of nuclei, over four splits, 600, 900 and 1200 steps gave a Dice coefficient of 0.850, 0.855 and 0.858.
STEPS: Final = 900
RATE: Final = 1e-2
DECAY: Final = 1e-2
# The share of a window's channels that are left out: a head that leans on no channel alone fares better on images unlike those
# labelled. Over four splits of nuclei, 0 and 0.2 gave a Dice coefficient of 0.842 and 0.850 at 30 images, 0.734 and 0.772 at 5.
DROPPED: Final = 0.2


def fit_head(lessons: Sequence[Lesson], scales: Sequence[Scale], seed: int, share: float = 1.0) -> MaskHead:
    """Train a head.

    What it learns of each part of a cell is how much of it each class covers, so that its logits cross where a boundary
    runs through a cell. Where the backbone has logits of its own it learns what to add to them: of images that the backbone has
    learnt from nothing is left to add, so those labelled since decide.

    Args:
        lessons: at least one, all of the same classes and size.
        scales: of their levels.
        seed: decides the first weights, and what is shown when.
        share: of the usual work that is done.
    """
    import torch

    steps = max(1, round(STEPS * share))
    windows = Windows(lessons, scales, seed, DROPPED)
    with one_thread():
        network = _network(sum(len(scale.centre) for scale in scales), len(lessons[0].coverage), seed)
        if lessons[0].told is not None:
            _begin_with_nothing(network)
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
        for _ in range(steps):
            step = windows.step()
            logits = network[1:](_mixed(network[0], step.levels))
            likelihood = torch.log_softmax(logits if step.told is None else logits + step.told, dim=1)
            loss = -((step.wanted * likelihood).sum(dim=1).mean(dim=(1, 2)) * step.weights).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return _head(network, scales)


def _mixed(mix: Any, levels: Sequence[Reached]) -> Any:
    """What the first layer makes of all channels of the windows' cells, [n, MIXED, side, side], each level mixed at its own size."""
    total = mix.bias[:, None, None]
    for level, weight in zip(
        levels, mix.weight.flatten(1).split([one.cells.shape[1] for one in levels], 1), strict=True
    ):
        own = weight @ level.cells.flatten(2)
        # One product for all channels of a window: one for each would take many times as long.
        count, (side, high), wide = len(own), level.high.shape[1:], level.wide.shape[2]
        across = own.reshape(count, -1, wide) @ level.wide.mT
        rows = across.reshape(count, MIXED, high, side).transpose(1, 2).reshape(count, high, -1)
        total = total + (level.high @ rows).reshape(count, side, MIXED, side).transpose(1, 2)
    return total


def _network(channels: int, classes: int, seed: int) -> Any:
    """The layers of `MaskHead` with first weights; torch's own state of chance is left alone, since heads are trained side by side."""
    import torch

    chance = torch.Generator().manual_seed(seed)
    return torch.nn.Sequential(
        _layer(chance, channels, MIXED),
        torch.nn.ReLU(),
        _layer(chance, MIXED, AROUND, size=3),
        torch.nn.ReLU(),
        _layer(chance, AROUND, classes * PARTS**2),
        torch.nn.PixelShuffle(PARTS),
    )


def _begin_with_nothing(network: Any) -> None:
    """Have the network say nothing of any class at first."""
    import torch

    for values in network[-2].parameters():
        torch.nn.init.zeros_(values)


def _layer(chance: Any, inputs: int, outputs: int, *, size: int = 1) -> Any:
    """A convolution with even weights of variance 1 / (3 * inputs of a cell), as torch has them."""
    import torch

    empty: Any = torch.nn.utils.skip_init  # it has no types
    around = {"padding": size // 2, "padding_mode": "replicate"} if size > 1 else {}
    layer = empty(torch.nn.Conv2d, inputs, outputs, size, **around)
    bound = (inputs * size**2) ** -0.5
    for values in layer.parameters():
        torch.nn.init.uniform_(values, -bound, bound, generator=chance)
    return layer


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

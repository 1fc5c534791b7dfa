"""Maps of an image from the stages of a torchvision classifier, with the row for the whole in the same pass."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import log2
from typing import Any, Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import BackboneSpec, OnProgress, ResolvedBackbone
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.image_running import embed_images, to_batch
from labelloop.learning.backbones.maps import SIDE, STRIDES, Squashed, pack, quarters, squash
from labelloop.learning.backbones.torch_running import inference, pick_device
from labelloop.learning.backbones.torchvision_models import build, find_source, hollow, resolve_torchvision

CPU_BATCH: Final = 16
GPU_BATCH: Final = 128
# Channels kept of each level: what is wider is mixed down to as many, so that an image never takes more than 1.3 MB.
WIDEST: Final = (48, 96, 192)
_OCTAVES: Final = (2, *STRIDES, 32)
# How far, in octaves, a size may be from the wanted one: networks that do not pad lose some rows at every step.
_NEAR: Final = 0.3
# Counted up when what is computed from the same weights changes.
_REVISION: Final = 2


@dataclass(frozen=True, slots=True)
class Stage:
    """The last step of a network at one size.

    Attributes:
        module: its name.
        channels: how many it gives.
        last: it gives [rows, columns, channels] where others give [channels, rows, columns].
    """

    module: str
    channels: int
    last: bool


def resolve_maps(spec: BackboneSpec) -> ResolvedBackbone:
    """Find a torchvision backbone that gives maps, downloading its usual weights if they are not here and may be.

    Raises:
        LearningError: see `find_source`; or the model has no stage at one of the strides.
        WeightsNotFound: the weights are neither here nor to be had.
    """
    resolved = resolve_torchvision(spec)
    stages_of(resolved.name)
    return replace(resolved, id=f"{resolved.id}-map{SIDE}-{_REVISION}")


class TorchvisionMaps:
    """A torchvision classifier without its head that also tells what it saw at strides 4, 8 and 16.

    Raises:
        LearningError: the device or the model does not exist, or local weights do not fit.
        WeightsNotFound: the weights are not on this machine.
    """

    def __init__(self, spec: BackboneSpec, resolved: ResolvedBackbone) -> None:
        import torch

        network, transform = build(find_source(spec))
        self.id, self.dim = resolved.id, resolved.dim
        self._device = pick_device(spec.device)
        self._network = network.to(self._device, memory_format=torch.channels_last)
        self._stages = stages_of(resolved.name)
        self._mixers = [mixer(s.channels, most) for s, most in zip(self._stages, WIDEST, strict=True)]
        self._mean, self._std = (np.array(said, dtype=np.float32) * 255 for said in (transform.mean, transform.std))
        self._seen: dict[str, Any] = {}
        for stage in self._stages:
            self._network.get_submodule(stage.module).register_forward_hook(_keeper(self._seen, stage.module))

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of encoded images squashed to a square, float32 [n, dim]; a row of NaN for one that cannot be decoded.

        Raises:
            LearningError: the device has too little memory for one image.
        """
        return self.embed_dense(items, on_progress)[0]

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """The same rows, and maps of three levels; empty ones for what cannot be decoded.

        Raises:
            LearningError: the device has too little memory for one image.
        """
        batch = CPU_BATCH if self._device.type == "cpu" else GPU_BATCH
        return embed_images(items, squash, self._look, self.dim, batch, on_progress)

    def _look(self, _items: list[Any], images: list[Squashed]) -> tuple[Floats, list[Dense]]:
        rows, levels = self._forward(images)
        maps = []
        for number, image in enumerate(images):
            finest, *others = (level[number] for level in levels)
            seen = [np.concatenate([finest, quarters(image, *finest.shape[1:])]), *others]
            maps.append(pack(image.height, image.width, seen))
        return rows, maps

    def _forward(self, images: list[Squashed]) -> tuple[Floats, list[Floats]]:
        """Rows [n, dim] and levels [n, channels, rows, columns] of n images."""
        batch = to_batch(images, self._mean, self._std, self._device)
        with inference(self._device):
            rows: Floats = self._network(batch).float().cpu().numpy()
        levels = []
        for stage, mixer in zip(self._stages, self._mixers, strict=True):
            seen = self._seen.pop(stage.module).float().cpu().numpy()
            level = seen.transpose(0, 3, 1, 2) if stage.last else seen
            levels.append(level if mixer is None else np.einsum("kc,nchw->nkhw", mixer, level, optimize=True))
        return rows, levels


def stages_of(model: str) -> tuple[Stage, ...]:
    """The stages of a torchvision classifier at each of the strides, finest first.

    Raises:
        LearningError: it cannot look at a square of that side, or has no stage at one of the strides.
    """
    found = all_stages(model)
    return tuple(found[stride] for stride in STRIDES)


@lru_cache(maxsize=8)
def all_stages(model: str) -> dict[int, Stage]:
    """The stages of a torchvision classifier by stride, those at 2 and 32 where it has them, found by running it once.

    Raises:
        LearningError: it cannot look at a square of that side, or has no stage at one of `STRIDES`.
    """
    import torch

    found: dict[int, Stage] = {}
    try:
        network, _ = hollow(model)
        for name, module in _steps(network):
            module.register_forward_hook(_noter(found, name))
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, SIDE, SIDE, device=next(network.parameters()).device))
    # A network of one fixed size of input says so by an assertion, a shape that does not fit, or in words of its own.
    except (AssertionError, RuntimeError, ValueError):
        found.clear()
    lacking = [stride for stride in STRIDES if stride not in found]
    if lacking:
        raise LearningError(
            f"{model} has no maps at a stride of {lacking[0]} pixels; choose a convolutional network such as "
            "mobilenet_v3_large, resnet50 or convnext_tiny."
        )
    return found


def _steps(network: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """The modules that follow each other, not those inside a block, such as the widened middle of an inverted bottleneck."""
    import torch

    for name, module in network.named_children():
        yield above + name, module
        if isinstance(module, torch.nn.Sequential):
            yield from _steps(module, f"{above}{name}.")


def _noter(found: dict[int, Stage], name: str) -> Callable[[Any, Any, Any], None]:
    """A hook that notes a module as the latest at its size."""

    def note(_module: Any, _inputs: Any, output: Any) -> None:
        shape = tuple(getattr(output, "shape", ()))
        if len(shape) != 4:
            return
        last = shape[1] == shape[2] != shape[3]
        rows, channels = (shape[1], shape[3]) if last else (shape[2], shape[1])
        for stride in _OCTAVES:
            if rows and abs(log2(SIDE / rows / stride)) < _NEAR:
                found[stride] = Stage(name, channels, last)

    return note


def _keeper(seen: dict[str, Any], name: str) -> Callable[[Any, Any, Any], None]:
    """A hook that keeps what a module gave."""

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen[name] = output

    return keep


def mixer(channels: int, most: int) -> Floats | None:
    """Random signs [most, channels] that keep distances (Achlioptas, 2003); None where the channels are not too many."""
    if channels <= most:
        return None
    signs = np.random.default_rng(channels).integers(0, 2, (most, channels)) * 2 - 1
    mixer: Floats = (signs / np.sqrt(most)).astype(np.float32)
    return mixer

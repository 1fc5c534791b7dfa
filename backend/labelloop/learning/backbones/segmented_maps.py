"""Maps of an image from a network that was trained to tell areas: what it says of each place, and by which features.

Such a network lies in a file of weights with a description beside it, named like it with `.json` added:

    {"segmenter": "unet", "encoder": "mobilenet_v2", "grouped": "decoder", "classes": ["cell"], "side": 320, "mean": [...], "std": [...],
     "note": ""}

The finest level, at stride 4, holds the decoder's features, the logits of each cell's quarters and the quarters' colours;
where the decoder's own grid is coarser, features and logits are a second level. Where all classes' logits are kept, the maps say
whose they are.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import Backbone, BackboneSpec, OnProgress, ResolvedBackbone
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.image_running import embed_images, to_batch
from labelloop.learning.backbones.local_weights import file_digest, read_state
from labelloop.learning.backbones.map_images import TorchvisionMaps, mixer, resolve_maps
from labelloop.learning.backbones.maps import STRIDES, Squashed, pack, quarters, squash
from labelloop.learning.backbones.names import name_number
from labelloop.learning.backbones.taught import digest_of, read_taught
from labelloop.learning.backbones.torch_running import inference, pick_device

CPU_BATCH: Final = 8
GPU_BATCH: Final = 64
UNET: Final = "unet"
# torchvision's segmenters, each with the classifier that is its encoder.
SEGMENTERS: Final = {
    "lraspp_mobilenet_v3_large": "mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large": "mobilenet_v3_large",
    "deeplabv3_resnet50": "resnet50",
    "fcn_resnet50": "resnet50",
}
# Channels kept of features, and of logits: what is wider is mixed down to as many.
WIDEST: Final = 48
# Counted up when what is computed from the same weights changes.
_REVISION: Final = 2


@dataclass(frozen=True, slots=True)
class Described:
    """What a file of weights holds.

    Attributes:
        segmenter: `unet`, or one of torchvision's.
        encoder: the torchvision classifier that it looks with.
        grouped: what is normalised by groups instead of batches: `decoder`, `all`, or `` (nothing) in torchvision's segmenters.
        classes: whose logits it gives.
        side: pixels a side of the square that it looks at.
        mean: taken from RGB in [0, 1].
        std: what the rest is divided by.
        note: what a person should know of how it began; empty: nothing.
    """

    segmenter: str
    encoder: str
    grouped: str
    classes: tuple[str, ...]
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str = ""


def describe(path: Path, described: Described) -> None:
    """Write a description beside a file of weights."""
    _beside(path).write_text(json.dumps(asdict(described)), encoding="utf-8")


def described_at(path: str) -> Described | None:
    """What a file of weights holds; None when it is no segmenter's."""
    if not path or not (beside := _beside(Path(path).expanduser())).is_file():
        return None
    try:
        said = json.loads(beside.read_text(encoding="utf-8"))
        if "segmenter" not in said:
            return None
        lists = {name: tuple(said[name]) for name in ("classes", "mean", "std")}
        return Described(**(said | lists))
    except (ValueError, TypeError, KeyError) as error:
        raise LearningError(f"{beside} does not describe a network for areas: {error}.") from None


def resolve_image_maps(spec: BackboneSpec) -> ResolvedBackbone:
    """Find what gives maps: a segmenter where the spec's weights are one's, a classifier otherwise.

    Raises:
        LearningError: see `resolve_maps`; or a segmenter's description cannot be read.
        WeightsNotFound: the weights are neither here nor to be had.
    """
    described = described_at(spec.weights)
    if described is None:
        return resolve_maps(spec)
    path = Path(spec.weights).expanduser()
    if not path.is_file():
        raise WeightsNotFound(f"There are no weights at {path}; only their description is there.")
    digest = file_digest(path)[:12]
    name = f"{described.segmenter} on {described.encoder}" if described.segmenter == UNET else described.segmenter
    return ResolvedBackbone(
        name, f"{described.segmenter}-{digest}-map{described.side}-{_REVISION}", _width(described), described.note
    )


@lru_cache(maxsize=8)
def _width(described: Described) -> int:
    import torch

    with torch.random.fork_rng(devices=[]):
        return int(build_segmenter(described).dim)


def load_image_maps(spec: BackboneSpec, resolved: ResolvedBackbone) -> Backbone:
    """Load it."""
    described = described_at(spec.weights)
    return TorchvisionMaps(spec, resolved) if described is None else SegmentedMaps(spec, resolved, described)


def build_segmenter(described: Described) -> Any:
    """A segmenter as described, of random weights."""
    from labelloop.learning.backbones.segmenters import Known, Segmenter, UNet, group_norms

    count = len(described.classes)
    made: Segmenter = (
        UNet(described.encoder, count) if described.segmenter == UNET else Known(described.segmenter, count)
    )
    if described.grouped:
        group_norms(made.decoder)
    if described.grouped == "all":
        group_norms(made.encoder)
    return made


class SegmentedMaps:
    """A network that was trained to tell areas, and tells by which features.

    Args:
        spec: points to its weights.
        resolved: what was found there.
        described: what they are of.

    Raises:
        LearningError: the device does not exist, or the weights are not those described.
    """

    def __init__(self, spec: BackboneSpec, resolved: ResolvedBackbone, described: Described) -> None:
        import torch

        self.id, self.dim = resolved.id, resolved.dim
        self._device = pick_device(spec.device)
        path = Path(spec.weights).expanduser()
        with torch.random.fork_rng(devices=[]):
            network = build_segmenter(described)
        try:
            network.load_state_dict(read_state(path))
        except RuntimeError as error:
            raise LearningError(f"{path} is not what is said of it: {str(error).splitlines()[1].strip()}") from None
        self._network = network.eval().to(self._device, memory_format=torch.channels_last)
        self._opened = partial(squash, side=described.side)
        self._names = [name_number(name) for name in described.classes]
        self._taught = read_taught(path.parent)
        self._mean, self._std = (np.array(said, dtype=np.float32) * 255 for said in (described.mean, described.std))

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of encoded images squashed to a square, float32 [n, dim]; a row of NaN for one that cannot be decoded.

        Raises:
            LearningError: the device has too little memory for one image.
        """
        return self.embed_dense(items, on_progress)[0]

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """The same rows, and maps of one level or two; empty ones for what cannot be decoded.

        Raises:
            LearningError: the device has too little memory for one image.
        """
        batch = CPU_BATCH if self._device.type == "cpu" else GPU_BATCH
        return embed_images(items, self._opened, self._look, self.dim, batch, on_progress)

    def _look(self, items: list[Any], images: list[Squashed]) -> tuple[Floats, list[Dense]]:
        rows, features, logits = self._forward(images)
        maps = []
        for item, image, seen, told in zip(items, images, features, logits, strict=True):
            taught = digest_of(item) in self._taught
            own, whole = levels(seen, told, image)
            names = self._names if whole else ()
            maps.append(pack(image.height, image.width, own, taught=taught, told=names))
        return rows, maps

    def _forward(self, images: list[Squashed]) -> tuple[Floats, Floats, Floats]:
        """What a segmenter sees of n images, as float32."""
        batch = to_batch(images, self._mean, self._std, self._device)
        with inference(self._device):
            whole, features, logits = (one.float().cpu().numpy() for one in self._network(batch))
        return whole, features, logits


def levels(features: Floats, logits: Floats, image: Squashed) -> tuple[list[Floats], bool]:
    """The levels of an image's maps, and whether all logits are in them as `Maps.told` has it.

    Args:
        features: [channels, rows, columns].
        logits: [classes, rows, columns].
        image: whose they are.
    """
    side = len(image.pixels) // STRIDES[0]
    colours = quarters(image, side, side)
    if features.shape[1] != 2 * side:
        return [colours, np.concatenate([_narrow(features), _narrow(logits)])], len(logits) <= WIDEST
    # Of each cell all four logits, where they are not too many, so that boundaries stay as fine as the network told them.
    classes = len(logits)
    whole = 4 * classes <= WIDEST
    cells = logits.reshape(classes, side, 2, side, 2)
    told = cells.transpose(0, 2, 4, 1, 3).reshape(-1, side, side) if whole else cells.mean(axis=(2, 4))
    seen = features.reshape(-1, side, 2, side, 2).mean(axis=(2, 4))
    return [np.concatenate([_narrow(seen), _narrow(told), colours])], whole


def _narrow(level: Floats) -> Floats:
    mix = mixer(len(level), WIDEST)
    return level if mix is None else np.einsum("kc,chw->khw", mix, level, optimize=True)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")

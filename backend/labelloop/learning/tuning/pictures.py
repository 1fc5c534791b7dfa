"""Images: a torchvision network and what it is shown while it learns."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from labelloop.learning.backbones import BackboneSpec
from labelloop.learning.backbones.local_weights import write_state
from labelloop.learning.backbones.torch_running import pick_device
from labelloop.learning.backbones.torchvision_images import middle_part
from labelloop.learning.backbones.torchvision_models import UNUSED, build, crop_of, find_source
from labelloop.learning.images import decode_image
from labelloop.learning.tuning.media import WEIGHTS, View

# Least share of an image's area that a crop shows: what a label is about is rarely in a corner.
LEAST_AREA: Final = 0.6
SHAPES: Final = (0.9, 1.11)
COLOUR: Final = {"brightness": 0.15, "contrast": 0.15, "saturation": 0.15}


class Pictures:
    """A torchvision classifier without its head, to be trained.

    Args:
        spec: which.
        flip: augmented views may be mirrored.

    Raises:
        LearningError: the device or the model does not exist, or local weights do not fit.
        WeightsNotFound: the weights are not on this machine.
    """

    def __init__(self, spec: BackboneSpec, *, flip: bool = False) -> None:
        source = find_source(spec)
        network, self._transform = build(source)
        self._model = source.model
        self._crop = crop_of(source)
        self.device = pick_device(spec.device)
        self.network = _without_second_heads(network).to(self.device, memory_format=torch.channels_last)
        self.dim = _width_of(self.network, self._crop, self.device)
        self._shown = {"weak": self._augmentation(flip, []), "strong": self._augmentation(flip, [v2.RandAugment()])}

    def open(self, item: Any) -> tuple[Image.Image, int] | None:
        """An encoded image at the size from which the network's square is cut, and its bytes; None when it is broken."""
        image = decode_image(item, shorter_side=2 * self._crop)
        if image is None:
            return None
        small = functional.resize(
            middle_part(image), self._transform.resize_size, interpolation=self._transform.interpolation
        )
        return small, 3 * small.width * small.height

    def batch(self, opened: Sequence[Any], view: View) -> torch.Tensor:
        """Input float32 [n, 3, crop, crop] on the device."""
        show = self._transform if view == "plain" else self._shown[view]
        images = torch.stack([show(image) for image in opened])
        return images.to(self.device, memory_format=torch.channels_last)

    def save(self, network: torch.nn.Module, folder: Path) -> None:
        """Write the weights and, beside them, the model's name and how its images are prepared."""
        write_state(network, folder / WEIGHTS)
        said = {
            "model": self._model,
            "mean": list(self._transform.mean),
            "std": list(self._transform.std),
            "size": self._transform.resize_size[0],
            "crop": self._transform.crop_size[0],
        }
        (folder / f"{WEIGHTS}.json").write_text(json.dumps(said), encoding="utf-8")

    def _augmentation(self, flip: bool, more: list[Any]) -> Any:
        steps = [
            v2.RandomResizedCrop(self._crop, scale=(LEAST_AREA, 1.0), ratio=SHAPES),
            *([v2.RandomHorizontalFlip()] if flip else []),
            v2.ColorJitter(**COLOUR),
            *more,
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(self._transform.mean, self._transform.std),
        ]
        return v2.Compose(steps)


def _without_second_heads(network: Any) -> Any:
    """GoogLeNet and Inception would answer with their second heads too, which nobody has kept weights of."""
    for name in UNUSED:
        if hasattr(network, name.rstrip(".")):
            setattr(network, name.rstrip("."), None)
            network.aux_logits = False
    return network


def _width_of(network: Any, crop: int, device: Any) -> int:
    with torch.inference_mode():
        return int(network(torch.zeros(1, 3, crop, crop, device=device)).shape[1])

"""Image features from a torchvision network."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from PIL import Image

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import BackboneSpec, OnProgress, ResolvedBackbone
from labelloop.learning.backbones.torch_running import inference, pick_device, run_in_batches
from labelloop.learning.backbones.torchvision_models import build, crop_of, find_source
from labelloop.learning.images import decode_image

CPU_BATCH: Final = 32
GPU_BATCH: Final = 256
DECODERS: Final = 4


class TorchvisionImages:
    """A torchvision classifier without its head, on the device and in the precision that suit it.

    Raises:
        LearningError: the device or the model does not exist, or local weights do not fit.
        WeightsNotFound: the weights are not on this machine.
    """

    def __init__(self, spec: BackboneSpec, resolved: ResolvedBackbone) -> None:
        import torch

        source = find_source(spec)
        network, self._transform = build(source)
        self.id, self.dim = resolved.id, resolved.dim
        self._device = pick_device(spec.device)
        self._network = network.to(self._device, memory_format=torch.channels_last)
        self._shorter_side = 2 * crop_of(source)

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of encoded images, float32 [n, dim]; a row of NaN for one that cannot be decoded.

        Raises:
            LearningError: the device has too little memory for one image.
        """
        features = np.full((len(items), self.dim), np.nan, dtype=np.float32)
        with ThreadPoolExecutor(DECODERS) as decoders:

            def run(start: int, stop: int) -> None:
                inputs = list(decoders.map(self._read, items[start:stop]))
                good = [start + row for row, image in enumerate(inputs) if image is not None]
                if good:
                    features[good] = self._forward([image for image in inputs if image is not None])
                if on_progress is not None:
                    on_progress(stop)

            run_in_batches(len(items), CPU_BATCH if self._device.type == "cpu" else GPU_BATCH, run)
        return features

    def _read(self, data: Any) -> Any:
        image = decode_image(data, shorter_side=self._shorter_side)
        return None if image is None else self._transform(middle_part(image))

    def _forward(self, images: list[Any]) -> Floats:
        import torch

        batch = torch.stack(images).to(self._device, memory_format=torch.channels_last)
        with inference(self._device):
            rows: Floats = self._network(batch).float().cpu().numpy()
        return rows


def middle_part(image: Image.Image) -> Image.Image:
    """The middle of an image twice as long as wide: all that the square cut from it can see.

    Resizing the shorter side of a thin strip would otherwise make an image of gigabytes.
    """
    width, height = image.size
    wide, high = min(width, 2 * height), min(height, 2 * width)
    left, top = (width - wide) // 2, (height - high) // 2
    return image if (wide, high) == (width, height) else image.crop((left, top, left + wide, top + high))

"""What torchvision's detectors find in images, with the row for the whole in the same pass."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import BackboneSpec, OnProgress, ResolvedBackbone
from labelloop.learning.backbones.dense import EMPTY, Dense
from labelloop.learning.backbones.detections import pack_detections
from labelloop.learning.backbones.detectors import Design, design_of, load_detector
from labelloop.learning.backbones.image_running import embed_images
from labelloop.learning.backbones.maps import Squashed, shown_size, squash
from labelloop.learning.backbones.names import name_number
from labelloop.learning.backbones.plain_images import PLAIN_IMAGES, PlainImages
from labelloop.learning.backbones.taught import digest_of, read_taught
from labelloop.learning.backbones.torch_running import note_run, pick_device
from labelloop.learning.images import decode_image

CPU_BATCH: Final = 4
GPU_BATCH: Final = 32
# Sides in pixels beyond which torchvision's detectors make an image smaller themselves.
SHORTER: Final = 800
LONGER: Final = 1333

# Without a detector nothing is found; the rows are there for the order of the queue.
PLAIN_DETECTIONS: Final = ResolvedBackbone("plain", f"{PLAIN_IMAGES.id}-detections", PLAIN_IMAGES.dim)


class PlainDetections(PlainImages):
    """Plain features of images, in which nothing is found."""

    id = PLAIN_DETECTIONS.id

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """Rows of encoded images, float32 [n, 400], and the same laid out as `detections` says, with none."""
        rows = self.embed(items, on_progress)
        return rows, [_nothing_in(item, row) for item, row in zip(items, rows, strict=True)]


class DetectedImages:
    """A detector: features are the means of its encoder's last maps, parts are what it finds.

    Raises:
        LearningError: the device does not exist, or the weights do not fit.
        WeightsNotFound: the weights are not on this machine.
    """

    def __init__(self, spec: BackboneSpec, resolved: ResolvedBackbone) -> None:
        from labelloop.learning.backbones.detector_networks import watch

        self.id, self.dim = resolved.id, resolved.dim
        self._device = pick_device(spec.device)
        self._design, folder = design_of(spec)
        self._network = load_detector(self._design, folder).to(self._device)
        self._taught = read_taught(folder) if folder is not None else frozenset()
        self._names = np.array([name_number(name) for name in self._design.classes], dtype=np.int64)
        self._seen = watch(self._network)

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of encoded images, float32 [n, dim]; a row of NaN for one that cannot be decoded.

        Raises:
            LearningError: the device has too little memory for one image.
        """
        return self.embed_dense(items, on_progress)[0]

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """The same rows, and what is found, laid out as `detections` says; nothing at all for what cannot be decoded.

        Raises:
            LearningError: the device has too little memory for one image.
        """
        batch = CPU_BATCH if self._device.type == "cpu" else GPU_BATCH
        return embed_images(items, partial(open_image, self._design), self._look, self.dim, batch, on_progress)

    def _look(self, items: list[Any], images: list[Squashed]) -> tuple[Floats, list[Dense]]:
        rows, found = self._forward(images)
        return rows, [
            self._packed(image, row, one, taught=digest_of(item) in self._taught)
            for item, image, row, one in zip(items, images, rows, found, strict=True)
        ]

    def _forward(self, images: list[Squashed]) -> tuple[Floats, list[Any]]:
        """Rows [n, dim] and what the network finds in n images."""
        import torch

        note_run()
        self._seen.clear()
        # In full precision: half of it would move the edges of boxes by pixels.
        with torch.inference_mode():
            found = self._network([to_input(image.pixels, self._device) for image in images])
            rows: Floats = self._seen.pop().float().mean(dim=(2, 3)).cpu().numpy()
        return rows, found

    def _packed(self, image: Squashed, row: Floats, found: Any, *, taught: bool) -> Dense:
        high, wide, _ = image.pixels.shape
        boxes, scores, classes = (found[name].cpu().numpy() for name in ("boxes", "scores", "labels"))
        # Networks without a class for the background have an output for it nevertheless.
        real = classes > 0
        corners = boxes[real].astype(np.float64) / (wide, high, wide, high)
        names = self._names[classes[real] - 1]
        return pack_detections((image.height, image.width), row, names, corners, scores[real], taught=taught)


def open_image(design: Design, data: Any) -> Squashed | None:
    """An encoded image as the detector is shown it, uint8 [rows, columns, 3]; None when it cannot be decoded."""
    if design.side:
        return squash(data, design.side)
    image = decode_image(data, shorter_side=SHORTER)
    if image is None:
        return None
    height, width = shown_size(data, image)
    image.thumbnail((LONGER, LONGER))
    return Squashed(height, width, np.asarray(image))


def to_input(pixels: Any, device: Any) -> Any:
    """An image uint8 [rows, columns, 3] as the network takes it: float32 [3, rows, columns] in [0, 1]."""
    import torch

    return torch.tensor(pixels, device=device).permute(2, 0, 1).float() / 255


def _nothing_in(item: Any, row: Floats) -> Dense:
    image = decode_image(bytes(item), shorter_side=SHORTER)
    if image is None:
        return EMPTY
    return pack_detections(shown_size(item, image), row, [], np.zeros((0, 4)), np.zeros(0), taught=False)

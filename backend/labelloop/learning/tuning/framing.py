"""How an image and its boxes are shown to a detector that learns."""

from typing import Any, Final

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.tuning.pictures import COLOUR

# Least side of a crop as a share of the image's, and the crops' shapes; half of the images are shown whole.
LEAST_SIDE: Final = 0.5
SHAPES: Final = (0.75, 1.33)
CROPS: Final = (0.0, 1.0)
# Where it is augmented strongly: its colours, how much smaller it is shown at most, and how often.
STRONGER: Final = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.05}
SMALLER: Final = (1.0, 1.5)
OFTEN: Final = 0.25


class Framing:
    """Shows images as they will be embedded, or crops of them with their colours changed a little; draws from torch's generator.

    Crops are those of SSD (Liu et al., 2016): of a box whose centre is left out, nothing is said.

    Args:
        augmentation: `none`, `weak` (crop and a little colour) or `strong` (more colour, and smaller too).
        flip: images may be mirrored.
    """

    def __init__(self, augmentation: str, *, flip: bool = False) -> None:
        self._augmentation = augmentation
        self._flip = flip

    def __call__(self, pixels: Any, corners: Floats, columns: Ints) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """An image and its boxes.

        Args:
            pixels: uint8 [rows, columns, 3].
            corners: [n, 4], left, top, right, bottom as shares of the image.
            columns: int [n], the number of each box's class.

        Returns:
            The image, float32 [3, rows, columns] in [0, 1], and `boxes` float32 [n, 4] in pixels with their `labels`, from 1 on.
        """
        rows, across = pixels.shape[:2]
        boxes = torch.from_numpy(corners * [across, rows, across, rows]).float()
        sample = {
            "image": tv_tensors.Image(torch.tensor(pixels).permute(2, 0, 1)),
            "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(rows, across)),
            "labels": torch.from_numpy(columns) + 1,
        }
        shown = self._steps(rows, across)(sample)
        image = shown["image"].as_subclass(torch.Tensor)
        return image, {"boxes": shown["boxes"].as_subclass(torch.Tensor), "labels": shown["labels"]}

    def _steps(self, rows: int, columns: int) -> Any:
        steps: list[Any] = []
        if self._augmentation == "strong":
            steps += [v2.ColorJitter(**STRONGER), v2.RandomZoomOut(fill=128, side_range=SMALLER, p=OFTEN)]
        if self._augmentation != "none":
            steps += [v2.ColorJitter(**COLOUR)]
            if min(rows, columns) * LEAST_SIDE >= 1:  # of a single row of pixels a crop could be of none
                crop = v2.RandomIoUCrop(LEAST_SIDE, 1.0, *SHAPES, sampler_options=list(CROPS))
                steps += [crop, v2.Resize((rows, columns), antialias=True)]
            steps += [v2.RandomHorizontalFlip()] if self._flip else []
        return v2.Compose(
            [
                *steps,
                v2.SanitizeBoundingBoxes(min_size=1),
                v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
            ]
        )

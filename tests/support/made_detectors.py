"""Small pictures with coloured squares in them, and a detector of random weights for small pictures."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from labelloop.learning import BackboneSpec, Parts
from labelloop.records import Box, BoxesTarget, Modality

CLASSES = ("red", "blue")
SIDE = 64
_COLOURS = {"red": (230, 30, 30), "blue": (30, 30, 230)}


def made_pictures(count: int, seed: int = 0) -> tuple[list[bytes], list[BoxesTarget]]:
    """Pictures of 96 by 64 pixels with a square or two each, and their boxes; every fifth has none."""
    rng = np.random.default_rng(seed)
    found = [_picture(rng, 0 if number % 5 == 4 else int(rng.integers(1, 3))) for number in range(count)]
    return [data for data, _ in found], [BoxesTarget(boxes) for _, boxes in found]


def made_detector(
    folder: Path, classes: tuple[str, ...] = CLASSES, architecture: str = "fcos_mobilenet_v3_small"
) -> Path:
    """A detector of random weights in a folder."""
    import torch

    from labelloop.learning.backbones.detector_networks import build_detector
    from labelloop.learning.backbones.detectors import Design, save_detector

    design = Design(architecture, classes, SIDE if architecture.count("_") < 5 else 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_detector(build_detector(design), design, folder)
    return folder


def detector_spec(folder: Path | str) -> BackboneSpec:
    """The spec that means the detector in a folder."""
    return BackboneSpec(Modality.IMAGE, str(folder), device="cpu", offline=True, parts=Parts.OUTPUT)


def _picture(rng: np.random.Generator, count: int) -> tuple[bytes, tuple[Box, ...]]:
    width, height = 96, 64
    pixels = rng.integers(90, 150, (height, width, 3), dtype=np.uint8)
    boxes = []
    for place in range(count):
        label = CLASSES[int(rng.integers(2))]
        wide, high = rng.integers(20, 36, 2)
        left = int(rng.integers(place * width // 2, place * width // 2 + width // 2 - wide + 1)) if wide <= 48 else 0
        top = int(rng.integers(0, height - high + 1))
        pixels[top : top + high, left : left + wide] = _COLOURS[label]
        boxes.append(Box(label, left / width, top / height, wide / width, high / height))
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue(), tuple(boxes)

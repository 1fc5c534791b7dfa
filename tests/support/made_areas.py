"""Made images with discs and bars to mark in them."""

from io import BytesIO

import numpy as np
from PIL import Image

from labelloop.learning import BackboneSpec, Parts
from labelloop.records import Mask, MasksTarget, Modality

CLASSES = ("disc", "bar")
SIDE = 64


def area_spec(name: str = "plain", weights: str = "") -> BackboneSpec:
    """A backbone of maps on this machine's processor."""
    return BackboneSpec(Modality.IMAGE, name, weights, device="cpu", offline=True, parts=Parts.MAP)


def made_areas(count: int, seed: int = 0) -> tuple[list[bytes], list[MasksTarget]]:
    """Noisy images, each with a bright disc, most with a bar across it; the fourth of each five shows nothing."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    items, targets = [], []
    for number in range(count):
        row, column, radius = [*rng.integers(16, 48, 2).tolist(), int(rng.integers(8, 14))]
        disc = np.hypot(rows - row, columns - column) < radius
        bar = (np.abs(rows - row) < 3) & (np.abs(columns - column) < 20)
        inside = {} if number % 5 == 3 else {"disc": disc, "bar": bar} if number % 2 else {"disc": disc}
        pixels = np.full((SIDE, SIDE, 3), (70, 90, 80), dtype=np.float64)
        for label, area in inside.items():
            pixels[area] = (220, 180, 60) if label == "disc" else (60, 60, 200)
        stream = BytesIO()
        noisy = np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(stream, "PNG")
        items.append(stream.getvalue())
        targets.append(MasksTarget(tuple(Mask.of(label, area) for label, area in inside.items())))
    return items, targets

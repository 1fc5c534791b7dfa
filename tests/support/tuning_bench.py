"""A small network with made weights, and digits as images, for tests that fine-tune."""

import io
import json
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from labelloop.learning import BackboneSpec
from labelloop.learning.tuning import Lesson
from labelloop.records import ClassTarget, Modality

MODEL = "shufflenet_v2_x0_5"
SIDE = 32
CLASSES = tuple("01234")


def digit_images(count: int, first: int = 0) -> tuple[list[bytes], list[ClassTarget]]:
    digits = load_digits(n_class=len(CLASSES))
    rows = range(first, first + count)
    return [png(digits.images[row]) for row in rows], [ClassTarget(str(digits.target[row])) for row in rows]


def png(pixels: np.ndarray) -> bytes:
    picture = io.BytesIO()
    Image.fromarray((255 - pixels * (255 / 16)).astype(np.uint8)).resize((SIDE, SIDE)).save(picture, "PNG")
    return picture.getvalue()


def lesson(count: int = 60, **more: object) -> Lesson:
    items, targets = digit_images(count)
    return Lesson(items, targets, CLASSES, **more)  # type: ignore[arg-type]


def made_weights(folder: Path, model: str = MODEL) -> Path:
    """Random weights whose batch normalisation has seen digits, so that features are neither all alike nor huge."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(model)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    items, _ = digit_images(64)
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(item)).convert("RGB")) for item in items])
    with torch.no_grad():
        network.train()(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "made.safetensors"
    save_file(network.state_dict(), path)
    said = {"model": model, "mean": [0.5] * 3, "std": [0.5] * 3, "size": SIDE, "crop": SIDE}
    path.with_name(f"{path.name}.json").write_text(json.dumps(said), encoding="utf-8")
    return path


def spec_for(weights: Path) -> BackboneSpec:
    return BackboneSpec(Modality.IMAGE, "auto", str(weights), "cpu", True)

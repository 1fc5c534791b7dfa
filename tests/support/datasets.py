"""Small labelled data sets on disk, made for tests."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COLOURS = {"cat": (200, 60, 40), "dog": (40, 80, 200), "owl": (60, 180, 60)}


def tiny_image(label: str, number: int) -> bytes:
    """A PNG of its class's colour, mixed with noise of its own."""
    noise = np.random.default_rng([number, *label.encode()]).integers(0, 200, size=(12, 12, 3))
    pixels = 0.35 * np.array(COLOURS[label]) + 0.65 * noise
    stream = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def image_folder(root: Path, per_class: int, labels: tuple[str, ...] = ("cat", "dog")) -> Path:
    """`cat/0.png`, …, `dog/0.png`, …"""
    for label in labels:
        (root / label).mkdir(parents=True)
        for number in range(per_class):
            (root / label / f"{number}.png").write_bytes(tiny_image(label, number))
    return root


def exported_task(
    number: int, data: dict[str, Any], *said: str | None, control: str = "kind", part: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A task as Label Studio exports it, with one annotation for each label; None is a skip. What is said is of a part, if given."""
    annotations = [
        {
            "id": 10 * number + place,
            "completed_by": place,
            "was_cancelled": label is None,
            "ground_truth": False,
            "updated_at": f"2026-11-24T10:00:0{place}.000000Z",
            "result": [
                {
                    "from_name": control,
                    "to_name": "shown",
                    "type": "choices",
                    "value": {**(part or {}), "choices": [label]},
                }
            ]
            if label is not None
            else [],
        }
        for place, label in enumerate(said)
    ]
    return {"id": number, "data": data, "annotations": annotations, "updated_at": "2026-11-24T10:00:00.000000Z"}


def write_export(path: Path, tasks: list[dict[str, Any]]) -> Path:
    """An export with these tasks."""
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path

"""From the triggering submit to the live version, and to the queue in its order, for each kind of task on a real Label Studio."""

import base64
import io
import os
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.label_data import mobilenet
from benchmarks.rounds import Result, measure_rounds
from benchmarks.task_data import NUCLEI_SIDE, Task, measure_each
from benchmarks.whole import Whole, running
from labelloop.labelstudio import codec_for, parse_label_config
from labelloop.records import (
    BoxesPrediction,
    Control,
    Mask,
    MasksPrediction,
    MasksTarget,
    SpansPrediction,
    TextPrediction,
)

QUEUE = 1000
"""Tasks that wait while the versions are published."""
LABELLED = 200
"""Labels when the first measured training starts."""
ROUNDS = 3
FIRST = 1200
"""Seconds in which everything is to be embedded, trained on and pushed for the first time."""
CONFIGS = {
    "bccd": ("image", "RectangleLabels"),
    "nuclei": ("image", "BrushLabels"),
    "ncbi": ("text", "Labels"),
    "wnut17": ("text", "Labels"),
    "tatoeba": ("text", "TextArea"),
}
SIZES = {"bccd": (480, 640), "nuclei": (NUCLEI_SIDE, NUCLEI_SIDE)}


def run() -> dict[str, Any]:
    """Every data set named in TASKS_SETS, or all."""
    return measure_each(_measure)


def _measure(task: Task) -> dict[str, Any]:
    os.environ |= {"LABELLOOP_TEXT_BACKBONE": "all-MiniLM-L6-v2", "LABELLOOP_OFFLINE": "true"}
    if task.name in SIZES:
        weights = {"IMAGE_BACKBONE": "mobilenet_v2", "IMAGE_WEIGHTS": str(Path(mobilenet()).resolve())}
        os.environ |= {f"LABELLOOP_{name}": value for name, value in weights.items()}
    with running() as whole:
        size = whole.context.settings.train_after
        project_id, waiting = _make_project(whole, task, LABELLED - size)
        figures = measure_rounds(whole, project_id, waiting, ROUNDS, FIRST)
    return {"labels": [LABELLED + number * size for number in range(ROUNDS)], "waiting": QUEUE, **figures}


def _make_project(whole: Whole, task: Task, labelled: int) -> tuple[int, list[tuple[int, Result]]]:
    """A project of which some tasks are labelled and others wait, the last of them repeats where the data set is small.

    Returns:
        Its id, and what an annotator would say of each task that waits, by id, the distinct ones first.
    """
    shown, config, found = project_of(task)
    count = labelled + QUEUE + ROUNDS * whole.context.settings.train_after
    items: list[dict[str, Any]] = [
        {"data": {shown: value, "number": number}} for number, (value, _) in enumerate(islice(cycle(found), count))
    ]
    said = [result for _, result in found]
    for number in range(labelled):
        items[number]["annotations"] = [{"result": said[number]}]
    label_studio = whole.context.label_studio
    project_id = int(label_studio.create_project(task.name, config)["id"])
    for start in range(0, count, 100):
        label_studio.import_tasks(project_id, items[start : start + 100])
    tasks = sorted(label_studio.tasks(project_id), key=lambda one: int(one["data"]["number"]))
    return project_id, [(one["id"], said[number % len(said)]) for number, one in enumerate(tasks)][labelled:]


def project_of(task: Task) -> tuple[str, str, list[tuple[str, Result]]]:
    """What a project about a data set is made of.

    Returns:
        The key of its tasks' data, its label config, and the value of each task with what a person who knows would submit.
    """
    shown, tag = CONFIGS[task.name]
    label = "".join(f'<Label value="{name}"/>' for name in task.classes)
    config = f'<View><{shown.title()} name="{shown}" value="${shown}"/><{tag} name="answer" toName="{shown}">{label}</{tag}></View>'
    (control,) = parse_label_config(config).controls
    found = list(zip([*task.items, *task.test_items], [*task.targets, *task.test_targets], strict=True))
    if task.name == "nuclei":
        found = [one for item, target in found for one in _symmetries(item, target)]
    values = (_address(item) if shown == "image" else item for item, _ in found)
    said = (_result(control, target, item, task.name) for item, target in found)
    return shown, config, list(zip(values, said, strict=True))


def _result(control: Control, target: Any, item: Any, name: str) -> Result:
    """What a person who says this would have submitted."""
    height, width = SIZES.get(name, (0, 0))
    prediction: Any
    match control.tag:
        case "RectangleLabels":
            prediction = BoxesPrediction(target.boxes, 1.0, 0.0, height, width)
        case "BrushLabels":
            prediction = MasksPrediction(target.masks, 1.0, 0.0)
        case "Labels":
            prediction = SpansPrediction(target.spans, 1.0, 0.0)
        case _:
            prediction = TextPrediction(target.texts[0], 1.0, 0.0)
    return codec_for(control).write(control, prediction, item)


def _symmetries(item: bytes, target: MasksTarget) -> list[tuple[bytes, MasksTarget]]:
    """A square image turned and mirrored in all eight ways."""
    pixels = np.asarray(Image.open(io.BytesIO(item)))
    found = []
    for turns in range(4):
        for way in (slice(None), slice(None, None, -1)):
            encoded = io.BytesIO()
            Image.fromarray(np.rot90(pixels, turns)[:, way]).save(encoded, "PNG")
            masks = tuple(Mask.of(one.label, np.rot90(one.inside(), turns)[:, way]) for one in target.masks)
            found.append((encoded.getvalue(), MasksTarget(masks)))
    return found


def _address(item: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(item).decode()

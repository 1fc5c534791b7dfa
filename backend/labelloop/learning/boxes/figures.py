"""How good boxes are: COCO's mean average precision, and the F1 of what is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from labelloop.errors import NotEnoughLabels
from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.boxes.decoding import Candidates
from labelloop.learning.boxes.lessons import Truth
from labelloop.learning.boxes.matching import hits
from labelloop.learning.evaluation import Source
from labelloop.learning.figures import Figures
from labelloop.learning.intervals import Interval, drawn_interval

DRAWS: Final = 200
# More boxes an image than COCO's hundred: cells under a microscope are many.
MOST: Final = 300
_RECALLS: Final = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True)
class Judged:
    """One image with what was found in it.

    Attributes:
        truth: what there is.
        found: what may be there, the most probable first.
        scores: float64 [n], of what was found.
        shown: how many of them are shown.
        size: height and width of the image in pixels.
    """

    truth: Truth
    found: Candidates
    scores: Floats
    shown: int
    size: tuple[int, int]

    def f1(self) -> float:
        """F1 of what is shown, in [0, 1]; 1 where nothing is shown and there is nothing."""
        right = int(hits(self.found, self.truth)[: self.shown].sum())
        total = self.shown + self.truth.columns.size
        return 2 * right / total if total else 1.0


def figures(judged: Sequence[Judged], classes: Sequence[str], source: Source, seed: int = 0) -> Figures:
    """mAP50 with an interval over the images (`drawn_interval`), mAP, and the F1 of what is shown, all boxes together.

    Raises:
        NotEnoughLabels: there is no image, or none of them has a box.
    """
    boxes = sum(one.truth.columns.size for one in judged)
    if not boxes:
        raise NotEnoughLabels(f"None of the {len(judged)} images to judge on has a box; label one that has.")
    precision = _coco(judged, len(classes))
    known = [column for column in range(len(classes)) if precision[:, column].max() >= 0]
    half = {column: float(precision[0, column]) for column in known}
    every = {column: float(precision[:, column].mean()) for column in known}
    value = float(np.mean(list(half.values())))
    right = sum(int(hits(one.found, one.truth)[: one.shown].sum()) for one in judged)
    shown = sum(one.shown for one in judged)
    return Figures(
        items=len(judged),
        name="mAP50",
        value=value,
        source=source,
        interval=_interval(judged, len(classes), value, seed),
        others={"mAP": float(np.mean(list(every.values()))), "F1": 2 * right / (shown + boxes)},
        per_class={classes[column]: {"AP50": half[column], "AP": every[column]} for column in known},
    )


def _coco(judged: Sequence[Judged], classes: int) -> Floats:
    """COCO's average precision [10, classes] at IoU 0.5, 0.55, … 0.95; -1 for a class without a box."""
    from pycocotools import coco, cocoeval

    # They tell of their progress by printing, which is no business of a worker's log.
    for module in (coco, cocoeval):
        module.print = _silent
    truth = coco.COCO()
    truth.dataset = _dataset(judged, classes)
    truth.createIndex()
    rows = [_detections(number, one) for number, one in enumerate(judged)]
    said = np.concatenate(rows)
    if not len(said):
        return _nothing_found(judged, classes)
    run = cocoeval.COCOeval(truth, truth.loadRes(said), "bbox")
    run.params.maxDets, run.params.areaRng, run.params.areaRngLbl = [MOST], [[0, 1e10]], ["all"]
    run.evaluate()
    run.accumulate()
    precision: Floats = run.eval["precision"][:, :, :, 0, 0].mean(axis=1)
    return precision


def _silent(*_: object) -> None:
    pass


def _dataset(judged: Sequence[Judged], classes: int) -> dict[str, Any]:
    images = [{"id": i, "height": one.size[0], "width": one.size[1]} for i, one in enumerate(judged)]
    boxes = [
        {"image_id": i, "category_id": column, "bbox": pixels, "area": pixels[2] * pixels[3], "iscrowd": 0}
        for i, one in enumerate(judged)
        for column, pixels in zip(one.truth.columns.tolist(), _pixels(one, one.truth.corners).tolist(), strict=True)
    ]
    # COCO takes a match with an annotation of number 0 for none.
    numbered = [{"id": number, **box} for number, box in enumerate(boxes, start=1)]
    return {"images": images, "annotations": numbered, "categories": [{"id": c} for c in range(classes)]}


def _detections(image: int, one: Judged) -> Floats:
    """[n, 7]: image, left, top, width, height in pixels, score, class."""
    pixels = _pixels(one, one.found.corners)
    return np.column_stack([np.full(len(pixels), image), pixels, one.scores, one.found.columns])


def _pixels(one: Judged, corners: Floats) -> Floats:
    """Left, top, width, height in pixels."""
    height, width = one.size
    pixels = corners * (width, height, width, height)
    result: Floats = np.concatenate([pixels[:, :2], pixels[:, 2:] - pixels[:, :2]], axis=1)
    return result


def _nothing_found(judged: Sequence[Judged], classes: int) -> Floats:
    there = np.unique(np.concatenate([one.truth.columns for one in judged]))
    return np.where(np.isin(np.arange(classes), there), 0.0, -1.0)[None].repeat(10, axis=0)


def _interval(judged: Sequence[Judged], classes: int, value: float, seed: int) -> Interval:
    image = np.repeat(np.arange(len(judged)), [len(one.scores) for one in judged])
    scores = np.concatenate([one.scores for one in judged])
    columns = np.concatenate([one.found.columns for one in judged])
    right = np.concatenate([hits(one.found, one.truth) for one in judged])
    there = np.stack([np.bincount(one.truth.columns, minlength=classes) for one in judged])
    order = np.argsort(-scores, kind="stable")
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(len(judged), size=len(judged)), minlength=len(judged))
        drawn = mean_precision(right[order], columns[order], times[image[order]], times @ there)
        draws.append(value if np.isnan(drawn) else drawn)
    return drawn_interval(np.array(draws), value, len(judged))


def mean_precision(right: Bools, columns: Ints, times: Ints, boxes: Ints) -> float:
    """Mean over the classes of COCO's average precision, in [0, 1]: of 101 recalls, the best precision at that recall or more.

    Args:
        right: bool [n], whether each candidate is right, the most probable first.
        columns: int [n], its class.
        times: int [n], how often it counts.
        boxes: int [C], how many boxes of each class there are.

    Returns:
        NaN where there is no box.
    """
    kept = [column for column in range(len(boxes)) if boxes[column]]
    values = [_average(right[columns == c], times[columns == c], int(boxes[c])) for c in kept]
    return float(np.mean(values)) if values else float("nan")


def _average(right: Bools, times: Ints, boxes: int) -> float:
    hit = np.cumsum(right * times)
    precision = hit / np.maximum(np.cumsum(times), 1)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(hit / boxes, _RECALLS)].mean())

"""Rectangles drawn in an image, each of a class."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.labelstudio.codecs.base import RegionsCodec, of_control, real_number, region_id, region_of
from labelloop.labelstudio.tasks import Region
from labelloop.records import Box, BoxesPrediction, BoxesTarget, Control, Kind, Part, Target
from labelloop.records.geometry import hulls, overlaps

# What is narrower or lower than this share of the image, once cut at the image's edges, is a slip of the hand.
SMALLEST: Final = 1e-4
# Shares are kept to a millionth of the image, which takes away what floating point adds when the editor saves percent.
DIGITS: Final = 6
# Two annotators mean the same thing by boxes of one class that overlap as much (intersection over union).
SAME: Final = 0.5


class BoxesCodec(RegionsCodec):
    """The results of `RectangleLabels`: one region a box, in percent of the image as it is shown, by the label's alias if any.

    An annotation without a box says that there is nothing to be found. A box that reaches beyond the image is cut at its
    edges, unless it is turned: cutting would change its form. Boxes under `SMALLEST` and regions without a label are passed
    over; an annotation that has nothing else says nothing. A region of several labels is a box of each. `image_rotation`
    is how the annotator turned the view, and changes no coordinate.
    """

    objects: ClassVar = frozenset({"Image"})
    kind: ClassVar = Kind.BOXES

    def read(self, control: Control, result: list[Region], value: object = None) -> BoxesTarget | None:
        """The boxes; None where something is drawn of which none is a box."""
        values = of_control(control, result)
        boxes = [box for value in values for box in _boxes(value)]
        return BoxesTarget(tuple(boxes)) if boxes or not values else None

    def placed(self, control: Control, prediction: BoxesPrediction, value: object) -> list[tuple[Part, Region]]:
        """Each box with its region."""
        return [(box, _region(control, number, box, prediction)) for number, box in enumerate(prediction.boxes)]

    def merge(self, control: Control, targets: Sequence[Target]) -> Target:
        """The boxes that at least half of the annotators drew.

        Boxes of one class that overlap by `SAME` or more are one, at most one of each annotator; turned ones are compared
        by their hulls, as if the image were square. What is kept has the mean coordinates, or where one of them is turned
        those of the annotator to prefer.

        Returns:
            Its weight is the share of the annotators who agree with what is kept and with what is not, the mean of all boxes.
        """
        drawn: list[tuple[Box, ...]] = [target.boxes for target in targets if isinstance(target, BoxesTarget)]
        groups = _grouped(drawn)
        kept = [group for group in groups if 2 * len(group) >= len(drawn)]
        agreeing = sum(max(len(group), len(drawn) - len(group)) for group in groups)
        weight = agreeing / (len(groups) * len(drawn)) if groups else 1.0
        return BoxesTarget(tuple(_mean(group) for group in kept), weight)


def _region(control: Control, number: int, box: Box, prediction: BoxesPrediction) -> Region:
    return region_of(
        control,
        "rectanglelabels",
        {**_percent(box), "rotation": box.rotation, "rectanglelabels": [box.label]},
        box.score,
        id=region_id(repr((control.name, number, replace(box, score=1.0)))),
        original_width=prediction.width,
        original_height=prediction.height,
        image_rotation=0,
    )


def _boxes(value: dict[str, Any]) -> list[Box]:
    """The box of each label of a region's value; none where it is no box."""
    labels = value.get("rectanglelabels")
    numbers = [real_number(value.get(key)) for key in ("x", "y", "width", "height")]
    if not isinstance(labels, list) or not all(map(math.isfinite, numbers)):
        return []
    turn = real_number(value.get("rotation"))
    x, y, width, height = (number / 100 for number in numbers)
    box = _held(Box("", x, y, width, height, round(turn, DIGITS) % 360 if math.isfinite(turn) else 0.0))
    return [replace(box, label=label) for label in labels if isinstance(label, str)] if box else []


def _held(box: Box) -> Box | None:
    """A box within the image, rounded; None when there is too little of it."""
    left, top, right, bottom = hulls([box])[0].tolist()
    if min(right - left, bottom - top, box.width, box.height) < SMALLEST:
        return None
    if box.rotation:
        return replace(box, **_rounded(box.x, box.y, box.width, box.height))
    return replace(box, **_rounded(left, top, right - left, bottom - top))


def _grouped(drawn: Sequence[Sequence[Box]]) -> list[list[Box]]:
    """Boxes that are the same, the preferred annotator's first."""
    groups: list[list[Box]] = []
    for boxes in drawn:
        joins = _joins([group[0] for group in groups], boxes)
        for number, box in enumerate(boxes):
            if number in joins:
                groups[joins[number]].append(box)
            else:
                groups.append([box])
    return groups


def _joins(known: Sequence[Box], boxes: Sequence[Box]) -> dict[int, int]:
    """The known box that each of one annotator's is the same as, each taken once, greedily, the largest overlap first."""
    alike = np.array([[one.label == other.label for other in boxes] for one in known]).reshape(len(known), len(boxes))
    shared = overlaps(hulls(known), hulls(boxes)) * alike
    joins: dict[int, int] = {}
    for flat in np.argsort(-shared, axis=None, kind="stable").tolist():
        one, other = divmod(flat, len(boxes))
        if shared[one, other] < SAME:
            break
        if other not in joins and one not in joins.values():
            joins[other] = one
    return joins


def _mean(group: Sequence[Box]) -> Box:
    if any(box.rotation for box in group):
        return group[0]
    x, y, width, height = np.mean([(box.x, box.y, box.width, box.height) for box in group], axis=0).tolist()
    return replace(group[0], **_rounded(x, y, width, height))


def _rounded(x: float, y: float, width: float, height: float) -> dict[str, Any]:
    sides = {"x": x, "y": y, "width": width, "height": height}
    return {name: round(share, DIGITS) for name, share in sides.items()}


def _percent(box: Box) -> dict[str, float]:
    return {
        name: round(100 * share, DIGITS - 2) for name, share in _rounded(box.x, box.y, box.width, box.height).items()
    }

"""What an annotator has drawn so far, as prompts for a model: boxes, points and marked stretches of text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labelloop.labelstudio.codecs import codec_for
from labelloop.labelstudio.codecs.base import real_number
from labelloop.labelstudio.tasks import Region
from labelloop.records import Box, Control, Kind, Span, SpansTarget
from labelloop.records.geometry import hulls


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts about one object.

    Attributes:
        boxes: where to look in an image, upright around what is turned; a point is a box of no size. The label is empty where
            none was chosen.
        spans: stretches of a text.
    """

    boxes: tuple[Box, ...] = ()
    spans: tuple[Span, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.boxes or self.spans)


def prompts_about(control: Control, drawn: Sequence[Region], value: object) -> Prompts:
    """The prompts for a control among the regions drawn so far; what is no prompt, or is malformed, is passed over.

    Args:
        control: whose object the regions are to be about. A stretch is marked with a tag of the same kind.
        drawn: the regions.
        value: what the task's data holds under the control's key.
    """
    mine = [region for region in drawn if region.get("to_name") == control.to_name]
    boxes = (_box(region, mine) for region in mine)
    spans = _spans(control, mine, value) if control.kind is Kind.SPANS else ()
    return Prompts(tuple(box for box in boxes if box is not None), spans)


def _box(region: Region, beside: Sequence[Region]) -> Box | None:
    value = region.get("value")
    if not isinstance(value, dict) or region.get("type") not in (
        "rectanglelabels",
        "rectangle",
        "keypointlabels",
        "keypoint",
    ):
        return None
    corner = _numbers(value, ("x", "y"))
    size = _numbers(value, ("width", "height")) if str(region["type"]).startswith("rectangle") else [0.0, 0.0]
    if corner is None or size is None:
        return None
    x, y, width, height = (number / 100 for number in (*corner, *size))
    turn = _numbers(value, ("rotation",)) or [0.0]
    box = Box(_label(region, value) or _chosen(region, beside), x, y, width, height, turn[0] % 360)
    return _upright(box, region) if box.rotation else box


def _upright(box: Box, region: Region) -> Box:
    """The upright box around a turned one, in an image that is taken for square where the region does not say its size."""
    size = _numbers(region, ("original_width", "original_height"))
    aspect = size[0] / size[1] if size and min(size) > 0 else 1.0
    left, top, right, bottom = hulls([box], aspect)[0].tolist()
    return Box(box.label, left, top, right - left, bottom - top)


def _spans(control: Control, drawn: Sequence[Region], value: object) -> tuple[Span, ...]:
    marked = [{**region, "from_name": control.name} for region in drawn if region.get("type") == control.tag.lower()]
    target = codec_for(control).read(control, marked, value)
    return target.spans if isinstance(target, SpansTarget) else ()


def _label(region: Region, value: dict[str, Any]) -> str:
    labels = value.get(str(region["type"]))
    return labels[0] if isinstance(labels, list) and labels and isinstance(labels[0], str) else ""


def _chosen(region: Region, beside: Sequence[Region]) -> str:
    """The class of a region that is drawn without one, by what was said of it; see `codecs.plain_regions`."""
    said = [one for one in beside if one.get("id", "") == region.get("id") and isinstance(one.get("value"), dict)]
    named = (_label(one, one["value"]) for kind in ("labels", "choices") for one in said if one.get("type") == kind)
    return next(named, "")


def _numbers(value: dict[str, Any], names: Sequence[str]) -> list[float] | None:
    numbers = [real_number(value.get(name)) for name in names]
    return numbers if all(map(math.isfinite, numbers)) else None

"""Areas drawn in an image, each of a class: by a brush, by polygons, or as a bitmap."""

import base64
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from labelloop.labelstudio.brush_rle import MOST_PIXELS, decode_area, encode_runs
from labelloop.labelstudio.codecs.base import RegionsCodec, real_number, region_id, region_of, whole_number
from labelloop.labelstudio.outlines import fill, outlines
from labelloop.labelstudio.tasks import Region
from labelloop.records import Control, Kind, Mask, MasksPrediction, MasksTarget, Part, Target
from labelloop.records.masks import union

Inside = NDArray[np.bool_]

# The grid for a polygon of which nobody says how large the image is.
UNKNOWN_SIDE: Final = 512
# Percent are kept to so many digits: a thousandth of a pixel of an image a thousand wide.
DIGITS: Final = 4
_PNG: Final = "data:image/png;base64,"


class MasksCodec(RegionsCodec):
    """What the three ways of drawing have in common.

    Each region is a mask of its own, one for each of its labels; a learner takes all of a class together. An annotation without a
    region says that there is nothing to be found. Regions that cannot be read, that have no label or no pixel are passed
    over; an annotation that has nothing else says nothing. `image_rotation` is how the annotator turned the view, and
    changes nothing.

    Attributes:
        key: the key of the labels in a region's value, and the region's type.
    """

    objects: ClassVar = frozenset({"Image"})
    kind: ClassVar = Kind.MASKS
    key: ClassVar[str]

    def read(self, control: Control, result: list[Region], value: object = None) -> MasksTarget | None:
        """The areas; None where something is drawn of which nothing can be read."""
        mine = [region for region in result if region.get("from_name") == control.name]
        masks = [mask for region in mine for mask in self._masks(region)]
        return MasksTarget(tuple(masks)) if masks or not mine else None

    def placed(self, control: Control, prediction: MasksPrediction, value: object) -> list[tuple[Part, Region]]:
        """Each mask with every region that draws it: one, or one for each of its pieces where the format needs it."""
        drawn = ((mask, one) for mask in prediction.masks for one in self._drawn(mask))
        return [(mask, self._region(control, number, mask, one)) for number, (mask, one) in enumerate(drawn)]

    def merge(self, control: Control, targets: Sequence[Target]) -> Target:
        """The pixels of each class that at least half of the annotators marked; what one drew, or all alike, as it was drawn.

        Areas of images of several sizes, as different tools say them, are brought to that of the annotator to prefer.

        Returns:
            Its weight is the mean over the classes and the annotators of the overlap with what is kept (intersection over
            union), and at least one annotator's share.
        """
        drawn = [target for target in targets if isinstance(target, MasksTarget)]
        if len({target.summary for target in drawn}) == 1:
            return replace(drawn[0], weight=1.0)
        size = next((mask.height, mask.width) for target in drawn for mask in target.masks)
        merged, agreement = [], []
        for label in sorted({mask.label for target in drawn for mask in target.masks}):
            said = np.stack([union([m for m in target.masks if m.label == label], *size) for target in drawn])
            kept = 2 * said.sum(axis=0) >= len(drawn)
            agreement += [_overlap(one, kept) for one in said]
            merged += [Mask.of(label, kept)] if kept.any() else []
        return MasksTarget(tuple(merged), max(float(np.mean(agreement)), 1 / len(drawn)))

    @abstractmethod
    def _area(self, value: dict[str, Any], size: tuple[int, int] | None) -> Mask | None:
        """The area of a region's value, of no class, in an image of that height and width; None where there is none to be read."""

    @abstractmethod
    def _drawn(self, mask: Mask) -> Iterable[dict[str, Any]]:
        """The values that draw a mask, without its label."""

    def _masks(self, region: Region) -> list[Mask]:
        value = region.get("value")
        labels = value.get(self.key) if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(labels, list):
            return []
        area = self._area(value, _size(region))
        if area is None or len(area.runs) < 2:
            return []
        return [replace(area, label=label) for label in labels if isinstance(label, str)]

    def _region(self, control: Control, number: int, mask: Mask, drawn: dict[str, Any]) -> Region:
        return region_of(
            control,
            self.key,
            {**drawn, self.key: [mask.label]},
            mask.score,
            id=region_id(repr((control.name, number, mask.label, drawn))),
            original_width=mask.width,
            original_height=mask.height,
            image_rotation=0,
        )


class BrushCodec(MasksCodec):
    """The results of `BrushLabels`: run lengths of the image's pixels, as strokes and eraser have left them."""

    key: ClassVar = "brushlabels"

    def _area(self, value: dict[str, Any], size: tuple[int, int] | None) -> Mask | None:
        return decode_area(value.get("rle"), *size) if size and value.get("format", "rle") == "rle" else None

    def _drawn(self, mask: Mask) -> Iterable[dict[str, Any]]:
        return [{"format": "rle", "rle": encode_runs(mask.runs)}] if len(mask.runs) > 1 else []


class PolygonCodec(MasksCodec):
    """The results of `PolygonLabels`: points in percent, one region a piece; see `outlines` for holes and specks."""

    key: ClassVar = "polygonlabels"

    def _area(self, value: dict[str, Any], size: tuple[int, int] | None) -> Mask | None:
        points = _points(value.get("points"))
        if points is None or value.get("closed") is False:
            return None
        height, width = size or (UNKNOWN_SIDE, UNKNOWN_SIDE)
        return fill(points * (width, height) / 100, height, width)

    def _drawn(self, mask: Mask) -> Iterable[dict[str, Any]]:
        for outline in outlines(mask.inside()):
            percent = np.round(outline * 100 / (mask.width, mask.height), DIGITS)
            yield {"points": percent.tolist(), "closed": True}


class BitmaskCodec(MasksCodec):
    """The results of `BitmaskLabels`: a PNG that is black inside and transparent outside."""

    key: ClassVar = "bitmasklabels"

    def _area(self, value: dict[str, Any], size: tuple[int, int] | None) -> Mask | None:
        url = value.get("imageDataURL")
        if not isinstance(url, str) or not url.startswith(_PNG):
            return None
        from PIL import Image

        try:
            with Image.open(BytesIO(base64.b64decode(url.removeprefix(_PNG))), formats=["PNG"]) as image:
                if not image.has_transparency_data or image.width * image.height > MOST_PIXELS:
                    return None
                opacity = np.asarray(image.convert("RGBA"))[..., 3]
        # Pillow raises a dozen kinds of error on files that are cut short or are no images at all.
        except Exception:
            return None
        return Mask.of("", opacity >= max(opacity.max() / 2, 1))

    def _drawn(self, mask: Mask) -> Iterable[dict[str, Any]]:
        from PIL import Image

        if len(mask.runs) < 2:
            return []
        inside = mask.inside()
        pixels = np.stack([np.zeros(inside.shape, dtype=np.uint8), inside * np.uint8(255)], axis=-1)
        stream = BytesIO()
        Image.fromarray(pixels, "LA").save(stream, "PNG")
        return [{"format": "png", "imageDataURL": _PNG + base64.b64encode(stream.getvalue()).decode()}]


def _size(region: Region) -> tuple[int, int] | None:
    """Height and width of the image; None where the region does not say them."""
    height, width = (whole_number(region.get(name)) for name in ("original_height", "original_width"))
    return (height, width) if min(height, width) > 0 and height * width <= MOST_PIXELS else None


def _points(value: object) -> NDArray[np.float64] | None:
    """[n, 2] of at least three points of two finite numbers each; None of anything else."""
    if not isinstance(value, list) or len(value) < 3:
        return None
    if not all(isinstance(point, list | tuple) and len(point) == 2 for point in value):
        return None
    points = np.array([[real_number(share) for share in point] for point in value])
    # What lies further out than another image's width is as good as there.
    return np.clip(points, -100, 200) if np.isfinite(points).all() else None


def _overlap(one: Inside, other: Inside) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0

"""Codecs between Label Studio's labels and what a learner takes and gives; one for each control tag."""

from typing import Final

from labelloop.errors import LabelConfigError
from labelloop.labelstudio.codecs.attributes import AttributesCodec
from labelloop.labelstudio.codecs.base import Codec
from labelloop.labelstudio.codecs.boxes import BoxesCodec
from labelloop.labelstudio.codecs.choices import ChoicesCodec
from labelloop.labelstudio.codecs.masks import BitmaskCodec, BrushCodec, PolygonCodec
from labelloop.labelstudio.codecs.paragraphs import ParagraphsCodec
from labelloop.labelstudio.codecs.plain_regions import PlainRegionsCodec
from labelloop.labelstudio.codecs.rating import RatingCodec
from labelloop.labelstudio.codecs.spans import SpansCodec
from labelloop.labelstudio.codecs.taxonomy import TaxonomyCodec
from labelloop.labelstudio.codecs.text_area import TextAreaCodec
from labelloop.records import Control, Kind

__all__ = ["ATTRIBUTES", "CODECS", "Codec", "codec_for"]

CODECS: Final[dict[str, Codec]] = {
    "Choices": ChoicesCodec(),
    "Rating": RatingCodec(),
    "Taxonomy": TaxonomyCodec(),
    "RectangleLabels": BoxesCodec(),
    "TextArea": TextAreaCodec(),
    "HyperTextLabels": SpansCodec(),
    "Labels": SpansCodec(),
    "ParagraphLabels": ParagraphsCodec(),
    "BrushLabels": BrushCodec(),
    "PolygonLabels": PolygonCodec(),
    "BitmaskLabels": BitmaskCodec(),
    "Rectangle": PlainRegionsCodec(BoxesCodec(), "rectanglelabels"),
    "Brush": PlainRegionsCodec(BrushCodec(), BrushCodec.key),
    "Polygon": PlainRegionsCodec(PolygonCodec(), PolygonCodec.key),
    "Bitmask": PlainRegionsCodec(BitmaskCodec(), BitmaskCodec.key),
}

_ANSWERING: Final = ("Choices", "Rating", "Taxonomy", "TextArea")
ATTRIBUTES: Final = AttributesCodec(
    {tag: CODECS[tag] for tag in _ANSWERING}, {tag: codec for tag, codec in CODECS.items() if tag not in _ANSWERING}
)
"""Reads and writes what is asked about regions that have a class already."""


def codec_for(control: Control) -> Codec:
    """The codec of a control's tag, or of what it asks about regions.

    Raises:
        LabelConfigError: there is none.
    """
    if control.kind is Kind.ATTRIBUTES:
        return ATTRIBUTES
    try:
        return CODECS[control.tag]
    except KeyError:
        known = ", ".join(sorted(CODECS))
        raise LabelConfigError(
            f"{control.name!r} is a {control.tag}, which is not learnt yet; known are: {known}."
        ) from None

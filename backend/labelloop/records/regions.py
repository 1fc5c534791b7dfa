"""Parts of an item that people or models give a class."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from labelloop.records.masks import Mask


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in an image, as the image is shown (its EXIF orientation applied).

    Attributes:
        label: its class.
        x: left edge before rotation, as a share of the image's width.
        y: top edge before rotation, as a share of the image's height.
        width: as a share of the image's width.
        height: as a share of the image's height.
        rotation: degrees clockwise about the corner (x, y), as Label Studio turns it.
        score: calibrated confidence, in [0, 1]; 1 for what people drew.
    """

    label: str
    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text.

    Attributes:
        label: its class.
        start: first character, counted in Unicode code points of the text as the task holds it.
        end: the character after the last.
        score: calibrated confidence, in [0, 1]; 1 for what people marked.
    """

    label: str
    start: int
    end: int
    score: float = 1.0


Part = Box | Mask | Span
"""A part of an item that can be told from others of its class."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attribute(Generic[T]):
    """What is said of one part that has a class already.

    Attributes:
        part: of which, as people or a model drew it.
        said: what, as it would be said of a whole item: a target or a prediction.
    """

    part: Part
    said: T

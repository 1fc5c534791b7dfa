"""Parts of an item that people or models give a class."""

from dataclasses import dataclass


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

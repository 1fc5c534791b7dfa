"""Codecs between results, as Label Studio writes them, and what a learner takes and gives; one for each control tag."""

from typing import Protocol

from labelloop.errors import LabelConfigError
from labelloop.labelstudio.codecs.choices import ChoicesCodec
from labelloop.labelstudio.tasks import Region
from labelloop.records import Control, Prediction

__all__ = ["CODECS", "Codec", "codec_for"]


class Codec(Protocol):
    """Reads and writes the regions of one kind of control."""

    def read(self, control: Control, result: list[Region]) -> str | None:
        """What an annotation says of the control; None when it says nothing, or nothing clear."""

    def write(self, control: Control, prediction: Prediction) -> list[Region]:
        """The regions that show a prediction; each region's `score` is the confidence in it, in [0, 1]."""


CODECS: dict[str, Codec] = {"Choices": ChoicesCodec()}


def codec_for(control: Control) -> Codec:
    """The codec of a control's tag.

    Raises:
        LabelConfigError: there is none.
    """
    try:
        return CODECS[control.tag]
    except KeyError:
        known = ", ".join(sorted(CODECS))
        raise LabelConfigError(
            f"{control.name!r} is a {control.tag}, which is not learnt yet; known are: {known}."
        ) from None

"""A number of stars for the whole item."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, cast

from labelloop.labelstudio.codecs.base import Codec, Described, of_control, real_number, region_of
from labelloop.labelstudio.codecs.whole_items import WHOLE_ITEM, of_whole, why_not_whole
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.tasks import Region
from labelloop.records import ClassPrediction, ClassTarget, Control, Kind, Target

# What Label Studio takes where the tag does not say.
USUAL: Final = "5"
MOST: Final = 100


class RatingCodec(Codec):
    """The results of `Rating`: one region with a whole number of stars from 1; no star is no answer."""

    objects: ClassVar = WHOLE_ITEM

    def why_not(self, tag: Tag) -> str:
        """Why not every `Rating` can be learnt."""
        stars = tag.attributes.get("maxRating") or USUAL
        if not (stars.isdecimal() and len(stars) < 5 and 2 <= int(stars) <= MOST):
            return f"its maxRating is not a whole number from 2 to {MOST}"
        return why_not_whole(tag)

    def describe(self, tag: Tag) -> Described:
        """One of the classes "1", "2", … in that order."""
        stars = int(tag.attributes.get("maxRating") or USUAL)
        return Described(Kind.RATING, tuple(str(star) for star in range(1, stars + 1)))

    def read(self, control: Control, result: list[Region], value: object = None) -> ClassTarget | None:
        """The stars; None when there are none, or different numbers of them."""
        stars = {_stars(value) for value in of_control(control, of_whole(control, result) or [])} - {0}
        return ClassTarget(str(stars.pop())) if len(stars) == 1 else None

    def merge(self, control: Control, targets: Sequence[Target]) -> ClassTarget:
        """The median of the annotators; of two in the middle, the nearer to what the first says.

        Returns:
            Its weight is 1 less the mean distance of the annotators from it, as a share of the largest there can be.
        """
        votes = cast(Sequence[ClassTarget], targets)
        said = sorted(int(vote.label) for vote in votes)
        first, middle = int(votes[0].label), (said[(len(said) - 1) // 2], said[len(said) // 2])
        median = min(middle, key=lambda stars: abs(stars - first))
        widest = max(len(control.labels), said[-1]) - 1
        apart = sum(abs(stars - median) for stars in said) / len(said)
        return replace(votes[0], label=str(median), weight=1 - apart / max(widest, 1))

    def write(self, control: Control, prediction: ClassPrediction, value: object) -> list[Region]:
        """One region with the predicted stars."""
        return [region_of(control, "rating", {"rating": int(prediction.label)}, prediction.confidence)]


def _stars(value: dict[str, Any]) -> int:
    """A whole number from 1; 0 for everything else."""
    stars = real_number(value.get("rating"))
    return int(stars) if stars >= 1 and stars.is_integer() else 0

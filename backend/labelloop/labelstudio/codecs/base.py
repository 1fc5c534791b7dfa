"""What a codec is: how one kind of control tag is read from a label config, from results, and written back."""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar

from labelloop.labelstudio import dynamic
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.tasks import Region
from labelloop.records import Control, Kind, Part, Target


@dataclass(frozen=True, slots=True)
class Described:
    """What a label config says of one control tag.

    Attributes:
        kind: what people say with it.
        labels: the classes as they appear in results.
        options: further attributes that matter, sorted by name.
        predicted_values: a model's own names of classes, each with the label that stands for it; None: as the tags say it.
    """

    kind: Kind
    labels: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()
    predicted_values: tuple[tuple[str, str], ...] | None = None


class Codec(ABC):
    """Reads and writes one kind of control tag.

    Attributes:
        objects: the object tags that it can be about.
    """

    objects: ClassVar[frozenset[str]]

    @abstractmethod
    def why_not(self, tag: Tag) -> str:
        """Why a tag cannot be learnt, as a clause; empty when it can."""

    @abstractmethod
    def describe(self, tag: Tag) -> Described:
        """What there is to learn of a tag that can be learnt."""

    def why_not_object(self, shown: Tag) -> str:
        """Why the object tag that a control is about cannot be read, as a clause; empty when it can."""
        return ""

    def describe_object(self, shown: Tag) -> tuple[tuple[str, str], ...]:
        """What of the object tag matters, for the control's options."""
        return ()

    @abstractmethod
    def read(self, control: Control, result: list[Region], value: object = None) -> Target | None:
        """What an annotation says of the control; None when it says nothing, or nothing clear.

        Args:
            control: whose.
            result: the annotation's regions.
            value: what the task's data holds under the control's key, for results that count in it.
        """

    @abstractmethod
    def write(self, control: Control, prediction: Any, value: object) -> list[Region]:
        """The regions that show a prediction; each region's `score` is the confidence in it, in [0, 1].

        Args:
            control: whose.
            prediction: of the control's kind.
            value: what the task's data holds under the control's key.
        """

    def placed(self, control: Control, prediction: Any, value: object) -> list[tuple[Part, Region]]:
        """Each region of a prediction with the result that draws it; none where regions are not told apart.

        Args:
            control: whose.
            prediction: of the control's kind.
            value: what the task's data holds under the control's key.
        """
        return []

    def merge(self, control: Control, targets: Sequence[Target]) -> Target:
        """What several annotators say together: the majority, and of equally many the first.

        Args:
            control: whose.
            targets: one of each annotator, at least one, the one to prefer first.

        Returns:
            Its weight is the share of the annotators that agree.
        """
        votes = Counter(target.summary for target in targets)
        winner: Any = max(targets, key=lambda target: votes[target.summary])
        merged: Target = replace(winner, weight=votes[winner.summary] / len(targets))
        return merged


class RegionsCodec(Codec):
    """Reads and writes one kind of control tag that names regions, by labels from the config or from each task's data.

    Attributes:
        kind: what its regions are.
    """

    kind: ClassVar[Kind]

    def why_not(self, tag: Tag) -> str:
        """Why not every such tag can be learnt."""
        return dynamic.why_not(tag) or ("" if tag.tree or dynamic.key_of_labels(tag) else "it has no labels")

    def describe(self, tag: Tag) -> Described:
        """Regions, each of a label."""
        key = dynamic.key_of_labels(tag)
        return Described(self.kind, tuple(tag.labels), ((dynamic.OPTION, key),) if key else ())

    def write(self, control: Control, prediction: Any, value: object) -> list[Region]:
        """Every region that draws what is predicted."""
        return [region for _, region in self.placed(control, prediction, value)]


def own(control: Control, result: Sequence[Region]) -> list[Region]:
    """A control's own regions."""
    return [region for region in result if region.get("from_name") == control.name]


def of_control(control: Control, result: list[Region]) -> list[dict[str, Any]]:
    """The values of a control's own regions."""
    values = (region.get("value") for region in own(control, result))
    return [value for value in values if isinstance(value, dict)]


def real_number(value: object) -> float:
    """A number; NaN for what is none, or is larger than a float can be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def whole_number(value: object) -> int:
    """A count, however JSON has it; -1 for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return -1
    try:
        return int(value) if float(value).is_integer() else -1
    except (ValueError, OverflowError):
        return -1


def region_of(control: Control, kind: str, value: dict[str, Any], score: float, **more: Any) -> Region:
    """A region to write.

    Args:
        control: whose.
        kind: Label Studio's name of what the value holds.
        value: what is said.
        score: the confidence in it, in [0, 1].
        **more: what else this kind of region holds.
    """
    return {
        "from_name": control.name,
        "to_name": control.to_name,
        "type": kind,
        "value": value,
        "score": float(score),
        **more,
    }


def region_id(said: str) -> str:
    """An id that is the same for what is the same, so that a push again changes nothing."""
    return sha256(said.encode(errors="surrogatepass")).hexdigest()[:10]

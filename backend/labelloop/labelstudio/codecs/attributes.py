"""What is said of regions that have a class already, one choice for each."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Final

from labelloop.labelstudio import dynamic
from labelloop.labelstudio.codecs.base import Codec, Described, own
from labelloop.labelstudio.codecs.plain_regions import NAMED_BY
from labelloop.labelstudio.codecs.whole_items import flag, options_of, why_not_few
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.per_region import Scope
from labelloop.labelstudio.tasks import Region
from labelloop.records import (
    Attribute,
    AttributesPrediction,
    AttributesTarget,
    Control,
    Kind,
    Part,
    Prediction,
    Target,
    parts_of,
)

ABOUT: Final = "about"
"""The name of the option that says whose regions a control asks about."""

_KEY: Final = "choices"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A control whose regions are asked about.

    Attributes:
        control: as much of it as its codec needs to read its regions.
        labels: the classes of the regions that are asked about; none: all are.
    """

    control: Control
    labels: tuple[str, ...]

    def asks_about(self, part: Part) -> bool:
        """Whether a region of the control is asked about."""
        return not self.labels or part.label in self.labels


class AttributesCodec(Codec):
    """The results of `Choices` with `perRegion="true"` beside a control that draws regions and names their classes.

    What is said of a region has its id, and repeats its place. A region of which nothing is said is not learnt from.

    Args:
        drawing: the codecs of the control tags whose regions can be asked about: those that tell regions of a class apart.
    """

    objects: ClassVar = frozenset({"Image", "Text", "HyperText", "Paragraphs"})

    def __init__(self, drawing: Mapping[str, Codec]) -> None:
        self._drawing = drawing

    def why_not(self, tag: Tag) -> str:
        """Why not every such tag can be learnt."""
        if tag.attributes.get("choice") == "multiple":
            return 'choice="multiple" may say several things of a region; only one can be learnt'
        if flag(tag, "allowNested") or any(label.depth for label in tag.tree):
            return "its choices are nested; of regions only plain ones can be learnt"
        return dynamic.why_not(tag) or why_not_few(tag, tag.labels, 2)

    def describe(self, tag: Tag) -> Described:
        """One class for each region."""
        return Described(Kind.ATTRIBUTES, tuple(tag.labels), options_of(tag))

    def about(self, scope: Scope, controls: Iterable[Control]) -> tuple[tuple[str, str], ...]:
        """Whose regions a control asks about, as an option of it.

        Args:
            scope: which regions its tag asks about.
            controls: those that are learnt.

        Returns:
            Nothing where it asks about the regions of none of them.
        """
        said = [
            {"name": one.name, "tag": one.tag, "options": dict(one.options), "labels": scope.labels}
            for one in controls
            if one.tag in self._drawing
            and one.to_name == scope.to_name
            and (not scope.by or scope.by in (one.name, one.option(NAMED_BY)))
        ]
        return ((ABOUT, json.dumps(said)),) if said else ()

    def read(self, control: Control, result: list[Region], value: object = None) -> AttributesTarget | None:
        """What was said of each region; None where nothing was, or of none that can be read."""
        said = {str(one["id"]): label for one in own(control, result) if one.get("id") and (label := _choice(one))}
        found = [
            Attribute(part, said[name])
            for drawing in drawings(control)
            for name, regions in _by_id(drawing.control, result).items()
            if name in said and (part := self._part(drawing, regions, value)) is not None
        ]
        return AttributesTarget(tuple(found)) if found else None

    def write(self, control: Control, prediction: AttributesPrediction, value: object) -> list[Region]:
        """None: what is said of regions is written beside them; see `write_beside`."""
        return []

    def write_beside(
        self, control: Control, prediction: AttributesPrediction, placed: Sequence[tuple[Part, Region]]
    ) -> list[Region]:
        """A region for what is said of each one that others have drawn.

        Args:
            control: whose.
            prediction: what is said of them.
            placed: the regions of the controls it asks about, with the result that draws each (`Codec.placed`).
        """
        names = {drawing.control.name for drawing in drawings(control)}
        said = {attribute.part: attribute for attribute in prediction.attributes}
        return [
            _beside(control, said[part], region)
            for part, region in placed
            if part in said and region["from_name"] in names
        ]

    def merge(self, control: Control, targets: Sequence[Target]) -> AttributesTarget:
        """All that anybody said: each was asked about the regions that they drew."""
        said = [one for target in targets if isinstance(target, AttributesTarget) for one in target.attributes]
        return AttributesTarget(tuple(dict.fromkeys(said)))

    def describe_object(self, shown: Tag) -> tuple[tuple[str, str], ...]:
        """What those who mark such an object need of it, so that its text is the same for both."""
        about = (codec for codec in self._drawing.values() if shown.kind in codec.objects)
        return next((codec.describe_object(shown) for codec in about), ())

    def _part(self, drawing: Drawing, regions: list[Region], value: object) -> Part | None:
        """The region that results of one id draw; None where it cannot be read or is not asked about."""
        parts = parts_of(self._drawing[drawing.control.tag].read(drawing.control, regions, value))
        return parts[0] if parts and drawing.asks_about(parts[0]) else None


@lru_cache(maxsize=256)
def drawings(control: Control) -> tuple[Drawing, ...]:
    """The controls whose regions a control asks about."""
    return tuple(
        Drawing(
            replace(control, name=one["name"], tag=one["tag"], labels=(), options=tuple(one["options"].items())),
            tuple(one["labels"]),
        )
        for one in json.loads(control.option(ABOUT, "[]"))
    )


def asked_parts(control: Control, said: Mapping[str, Prediction]) -> tuple[Part, ...]:
    """The regions of an item that a control asks about, by what is said with each control (by name) of the item."""
    return tuple(
        part
        for drawing in drawings(control)
        for part in parts_of(said.get(drawing.control.name))
        if drawing.asks_about(part)
    )


def _by_id(control: Control, result: Sequence[Region]) -> dict[str, list[Region]]:
    """The results that draw or name each region of a control, by its id."""
    mine = {control.name, control.option(NAMED_BY, control.name)}
    found: dict[str, list[Region]] = {}
    for region in result:
        if region.get("from_name") in mine and region.get("id"):
            found.setdefault(str(region["id"]), []).append(region)
    return found


def _choice(region: Region) -> str:
    """The one choice of a result; empty where it has none or several."""
    value: Any = region.get("value")
    said = value.get(_KEY) if isinstance(value, dict) else None
    return said[0] if isinstance(said, list) and len(said) == 1 and isinstance(said[0], str) else ""


def _beside(control: Control, said: Attribute, region: Region) -> Region:
    place = {key: value for key, value in region["value"].items() if key != region["type"]}
    return {
        **region,
        "from_name": control.name,
        "type": _KEY,
        "value": {**place, _KEY: [said.label]},
        "score": float(said.score),
    }

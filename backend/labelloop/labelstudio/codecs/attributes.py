"""What is said of regions that have a class already, of each as it would be said of a whole item."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Final

from labelloop.labelstudio.codecs.base import Codec, Described, own
from labelloop.labelstudio.codecs.plain_regions import NAMED_BY
from labelloop.labelstudio.codecs.whole_items import WHOLE_ITEM
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.per_region import Scope, about_whole
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
from labelloop.records.controls import ANSWER

ABOUT: Final = "about"
"""The name of the option that says whose regions a control asks about."""

# Where an answer is, of results that do not have it under their type; on a text it takes the place of the marked words.
_SAID_UNDER: Final = {"textarea": "text"}


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
    """The results of tags with `perRegion="true"` beside a control that draws regions and names their classes.

    What is said of a region has its id, and repeats its place. But for that, it is what would be said of a whole item, whose
    codec reads and writes it.

    Args:
        answering: the codecs of the control tags whose answers are learnt, as for whole items.
        drawing: the codecs of the control tags whose regions can be asked about.
    """

    objects: ClassVar = WHOLE_ITEM

    def __init__(self, answering: Mapping[str, Codec], drawing: Mapping[str, Codec]) -> None:
        self._answering = answering
        self._drawing = drawing

    def why_not(self, tag: Tag) -> str:
        """Why not every such tag can be learnt."""
        if tag.kind not in self._answering:
            only = ", ".join(self._answering)
            return f'perRegion="true" asks about parts of a task; of regions, only answers of {only} are learnt'
        return self._answering[tag.kind].why_not(about_whole(tag))

    def describe(self, tag: Tag) -> Described:
        """Of each region, what there would be to learn of whole items."""
        described = self._answering[tag.kind].describe(about_whole(tag))
        options = (*described.options, (ANSWER, str(described.kind)))
        return replace(described, kind=Kind.ATTRIBUTES, options=tuple(sorted(options)))

    def describe_object(self, shown: Tag) -> tuple[tuple[str, str], ...]:
        """What those who mark such an object need of it, so that its text is the same for both."""
        about = (codec for codec in self._drawing.values() if shown.kind in codec.objects)
        return next((codec.describe_object(shown) for codec in about), ())

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
        answers = _by_id(own(control, result))
        whole = replace(control, kind=control.answer)
        found = [
            Attribute(part, said)
            for name, part in self._parts(control, result, value)
            if (said := self._answering[control.tag].read(whole, [_placeless(one) for one in answers.get(name, [])]))
            is not None
        ]
        return AttributesTarget(tuple(found)) if found else None

    def write(self, control: Control, prediction: AttributesPrediction, value: object) -> list[Region]:
        """None: what is said of regions is written beside them; see `write_beside`."""
        return []

    def write_beside(
        self, control: Control, prediction: AttributesPrediction, placed: Sequence[tuple[Part, Region]]
    ) -> list[Region]:
        """A region for what is said of each one that others have drawn; none where its place would suffer.

        Args:
            control: whose.
            prediction: what is said of them.
            placed: the regions of the controls it asks about, with the result that draws each (`Codec.placed`).
        """
        names = {drawing.control.name for drawing in drawings(control)}
        said = {attribute.part: attribute.said for attribute in prediction.attributes}
        codec, whole = self._answering[control.tag], replace(control, kind=control.answer)
        return [
            _beside(answer, region)
            for part, region in placed
            if part in said and region["from_name"] in names
            for answer in codec.write(whole, said[part], None)
            if not _displaces(answer, region)
        ]

    def merge(self, control: Control, targets: Sequence[Target]) -> AttributesTarget:
        """All that anybody said: each was asked about the regions that they drew."""
        said = [one for target in targets if isinstance(target, AttributesTarget) for one in target.attributes]
        return AttributesTarget(tuple(dict.fromkeys(said)))

    def _parts(self, control: Control, result: Sequence[Region], value: object) -> Iterator[tuple[str, Part]]:
        """The regions that are asked about, with their ids; a region of several labels counts as one, of the first."""
        for drawing in drawings(control):
            codec, drawn = self._drawing[drawing.control.tag], drawing.control
            # No set, which could not be asked for the lists that other programs may put under `from_name`.
            mine = (drawn.name, drawn.option(NAMED_BY, drawn.name))
            for name, regions in _by_id(one for one in result if one.get("from_name") in mine).items():
                parts = parts_of(codec.read(drawn, regions, value))
                if parts and drawing.asks_about(parts[0]):
                    yield name, parts[0]


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


def asked_about(controls: Iterable[Control]) -> frozenset[str]:
    """The names of the controls whose regions any of some controls asks about."""
    return frozenset(drawing.control.name for control in controls for drawing in drawings(control))


def asked_parts(control: Control, said: Mapping[str, Prediction]) -> tuple[Part, ...]:
    """The regions of an item that a control asks about, by what is said with each control (by name) of the item."""
    return tuple(
        part
        for drawing in drawings(control)
        for part in parts_of(said.get(drawing.control.name))
        if drawing.asks_about(part)
    )


def _by_id(regions: Iterable[Region]) -> dict[str, list[Region]]:
    found: dict[str, list[Region]] = {}
    for region in regions:
        if region.get("id"):
            found.setdefault(str(region["id"]), []).append(region)
    return found


def _placeless(region: Region) -> Region:
    """The answer alone, without the place of the region that it is about."""
    value: Any = region.get("value")
    key = _SAID_UNDER.get(str(region.get("type")), str(region.get("type")))
    return {**region, "value": {key: value[key]} if isinstance(value, dict) and key in value else {}}


def _displaces(answer: Region, region: Region) -> bool:
    """Whether an answer needs a key that the region's place has, as nested choices do that are called `x` or `start`."""
    said_under = _SAID_UNDER.get(answer["type"], answer["type"])
    return bool((answer["value"].keys() - {said_under}) & region["value"].keys())


def _beside(answer: Region, region: Region) -> Region:
    place = {key: value for key, value in region["value"].items() if key != region["type"]}
    return {**region, **answer, "value": {**place, **answer["value"]}}

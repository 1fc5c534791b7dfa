"""Regions that one tag draws and another names: `Rectangle` and its like with `Labels`, or with `Choices` per region."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from labelloop.labelstudio.codecs.base import Codec, Described, RegionsCodec, own
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.tasks import Region
from labelloop.records import Control, Part, Target

NAMED_BY: Final = "named_by"
"""The name of the option that holds the name of the tag that names the classes."""
NAMED_IN: Final = "named_in"
"""The name of the option that holds the type of that tag's results, which have the classes under it."""


class PlainRegionsCodec(Codec):
    """Two results of one id for each region: one draws it, one holds the same drawing and its class.

    What they say together is what one result of the tag says that draws and names, whose codec reads and writes it. A region of
    which nobody has said what it is has no label.

    Args:
        whole: the codec of the tag that says both, such as `RectangleLabels`.
        key: where that tag's results have their labels.
    """

    objects: ClassVar = frozenset({"Image"})

    def __init__(self, whole: RegionsCodec, key: str) -> None:
        self._whole = whole
        self._key = key

    def why_not(self, tag: Tag) -> str:
        """Why not every such tag can be learnt."""
        if not tag.named_by:
            return (
                "nothing says of what class its regions are; Labels would, about the same object, "
                'or Choices with perRegion="true"'
            )
        return self._whole.why_not(tag)

    def describe(self, tag: Tag) -> Described:
        """What the tag that says both would, and where the classes are."""
        described = self._whole.describe(tag)
        return replace(
            described, options=tuple(sorted((*described.options, (NAMED_BY, tag.named_by), (NAMED_IN, tag.named_in))))
        )

    def read(self, control: Control, result: list[Region], value: object = None) -> Target | None:
        """What the two say together."""
        classes = _classes(control, result)
        return self._whole.read(control, [self._together(region, classes) for region in own(control, result)], value)

    def write(self, control: Control, prediction: Any, value: object) -> list[Region]:
        """Two regions for each, the one that draws it first."""
        whole = self._whole.write(control, prediction, value)
        return [one for region in whole for one in self._apart(control, region)]

    def placed(self, control: Control, prediction: Any, value: object) -> list[tuple[Part, Region]]:
        """Each region with the result that draws it, where the tag that says both tells regions apart."""
        whole = self._whole.placed(control, prediction, value)
        return [(part, self._apart(control, region)[0]) for part, region in whole]

    def merge(self, control: Control, targets: Sequence[Target]) -> Target:
        """As for the tag that says both."""
        return self._whole.merge(control, targets)

    def _together(self, region: Region, classes: Mapping[str, list[str]]) -> Region:
        value = region.get("value")
        drawn = value if isinstance(value, dict) else {}
        return {**region, "value": {**drawn, self._key: classes.get(str(region.get("id")), [])}}

    def _apart(self, control: Control, region: Region) -> tuple[Region, Region]:
        drawn = {key: said for key, said in region["value"].items() if key != self._key}
        kind = control.option(NAMED_IN)
        named = {**drawn, kind: region["value"][self._key]}
        return (
            {**region, "type": control.tag.lower(), "value": drawn},
            {**region, "from_name": control.option(NAMED_BY), "type": kind, "value": named},
        )


def _classes(control: Control, result: Sequence[Region]) -> dict[str, list[str]]:
    """The classes that were chosen for each region, by its id."""
    classes: dict[str, list[str]] = {}
    for region in result:
        value = region.get("value")
        chosen = value.get(control.option(NAMED_IN)) if isinstance(value, dict) else None
        if region.get("from_name") == control.option(NAMED_BY) and region.get("id") and isinstance(chosen, list):
            classes.setdefault(str(region["id"]), []).extend(label for label in chosen if isinstance(label, str))
    return classes

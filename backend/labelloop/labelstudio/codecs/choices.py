"""Choices for the whole item: one, or any number."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast

from labelloop.labelstudio.codecs.base import Codec, Described, region_of
from labelloop.labelstudio.codecs.whole_items import (
    WHOLE_ITEM,
    blank,
    flag,
    merge_sets,
    of_whole,
    options_of,
    paths_of,
    predicted_paths,
    why_not_few,
    why_not_tree,
    why_not_whole,
    written,
)
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.paths import join_path, split_path
from labelloop.labelstudio.tasks import Region
from labelloop.records import ClassPrediction, ClassTarget, Control, Kind, SetPrediction, SetTarget, Target

_KEY: Final = "choices"


class ChoicesCodec(Codec):
    """The results of `Choices`: one region whose value names the choices, by their alias where they have one.

    With `allowNested="true"` a choice is the path to a leaf: Label Studio ticks a branch when all in it is ticked. Without it,
    Label Studio shows the outermost choices alone. Its import refuses the lists of paths that its editor reads, but looks at
    what lies under the control's own name, where there is an object: there the leaves are named. Its editor passes that over.
    """

    objects: ClassVar = WHOLE_ITEM

    def why_not(self, tag: Tag) -> str:
        """Why not every `Choices` can be learnt."""
        return why_not_whole(tag) or why_not_tree(tag) or why_not_few(tag, _paths(tag), 1 if _multiple(tag) else 2)

    def describe(self, tag: Tag) -> Described:
        """A class for the item, or a set of them."""
        paths = _paths(tag)
        return Described(
            Kind.SET if _multiple(tag) else Kind.CLASS,
            tuple(dict.fromkeys(path for path in paths if path)),
            options_of(tag, nested=flag(tag, "allowNested")),
            predicted_paths(tag, paths),
        )

    def read(self, control: Control, result: list[Region], value: object = None) -> Target | None:
        """What was chosen; None when it is not clear, as happens when a config has changed. On a blank answer see `blank`."""
        regions = of_whole(control, result)
        if regions is None:
            return None
        if not regions and control.kind is Kind.SET:
            return blank(control)
        found = [_choices(region, nested=bool(control.option("nested"))) for region in regions]
        if None in found:
            return None
        chosen = sorted({choice for choices in found for choice in choices or ()})
        if control.kind is Kind.SET:
            return SetTarget(tuple(chosen))
        return ClassTarget(chosen[0]) if len(chosen) == 1 else None

    def merge(self, control: Control, targets: Sequence[Target]) -> Target:
        """The majority, class by class where several are possible."""
        if control.kind is Kind.SET:
            return merge_sets(cast(Sequence[SetTarget], targets))
        return super().merge(control, targets)

    def write(self, control: Control, prediction: ClassPrediction | SetPrediction, value: object) -> list[Region]:
        """One region with what is predicted; none when nothing is, or nested choices are called what their results are."""
        labels = written(control, prediction) if isinstance(prediction, SetPrediction) else [prediction.label]
        nested = bool(control.option("nested"))
        if not labels or (nested and control.name == _KEY):
            return []
        said = _nested(control, labels) if nested else {_KEY: labels}
        return [region_of(control, _KEY, said, prediction.confidence)]


def _nested(control: Control, labels: Sequence[str]) -> dict[str, Any]:
    """The value that shows nested choices; see `ChoicesCodec`."""
    paths = [list(split_path(label)) for label in labels]
    return {_KEY: paths, control.name: {_KEY: [path[-1] for path in paths]}}


def _multiple(tag: Tag) -> bool:
    return tag.attributes.get("choice") == "multiple"


def _paths(tag: Tag) -> list[str]:
    """For each label of a tag the class that it is; empty where it is none."""
    if flag(tag, "allowNested"):
        return paths_of(tag, leaves=True)
    return ["" if label.depth else label.name for label in tag.tree]


def _choices(region: Region, *, nested: bool) -> set[str] | None:
    """What a region names; None when it cannot be read."""
    value: Any = region.get("value")
    said = value.get(_KEY) if isinstance(value, dict) else None
    if not isinstance(said, list):
        return None
    if not nested:
        return set(said) if all(isinstance(choice, str) for choice in said) else None
    paths = [(choice,) if isinstance(choice, str) else choice for choice in said]
    if not all(isinstance(path, list | tuple) and path and all(isinstance(p, str) for p in path) for path in paths):
        return None
    chosen = {tuple(path) for path in paths}
    branches = {path[:depth] for path in chosen for depth in range(1, len(path))}
    return {join_path(path) for path in chosen - branches}

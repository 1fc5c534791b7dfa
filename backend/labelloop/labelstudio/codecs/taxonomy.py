"""Any number of paths through a tree of choices, for the whole item."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

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
from labelloop.records import Control, Kind, SetPrediction, SetTarget, Target


class TaxonomyCodec(Codec):
    """The results of `Taxonomy`: one region with a list of paths, each from the topmost choice down, by alias or value.

    A class is a path as text, "Animal > Cat" (see `paths`). A branch may be chosen with or without what lies in it, and is a
    class of its own, unless `leafsOnly` is set. No more than `maxUsages` paths are written.
    """

    objects: ClassVar = WHOLE_ITEM

    def why_not(self, tag: Tag) -> str:
        """Why not every `Taxonomy` can be learnt."""
        if tag.attributes.get("apiUrl"):
            return "its choices come from another server; only choices written in the config or a task's data are"
        if flag(tag, "labeling"):
            return 'labeling="true" marks parts of a task; only an answer for the whole task is'
        return why_not_whole(tag) or why_not_tree(tag) or why_not_few(tag, tag.labels, 1)

    def describe(self, tag: Tag) -> Described:
        """A set of paths."""
        leaves = flag(tag, "leafsOnly")
        paths = paths_of(tag, leaves=leaves)
        most = tag.attributes.get("maxUsages", "")
        return Described(
            Kind.SET,
            tuple(dict.fromkeys(path for path in paths if path)),
            options_of(tag, leaves=leaves, most=most if most.isdecimal() else ""),
            predicted_paths(tag, paths),
        )

    def read(self, control: Control, result: list[Region], value: object = None) -> SetTarget | None:
        """The chosen paths; None when they cannot be read. On a blank answer see `blank`."""
        regions = of_whole(control, result)
        if not regions:
            return None if regions is None else blank(control)
        found = [_paths(region) for region in regions]
        if None in found:
            return None
        return SetTarget(tuple(sorted({path for paths in found for path in paths or ()})))

    def merge(self, control: Control, targets: Sequence[Target]) -> SetTarget:
        """The majority, path by path."""
        return merge_sets(cast(Sequence[SetTarget], targets))

    def write(self, control: Control, prediction: SetPrediction, value: object) -> list[Region]:
        """One region with the predicted paths; none when nothing is predicted."""
        labels = written(control, prediction)
        if not labels:
            return []
        return [
            region_of(
                control, "taxonomy", {"taxonomy": [list(split_path(label)) for label in labels]}, prediction.confidence
            )
        ]


def _paths(region: Region) -> set[str] | None:
    """The paths that a region names; None when it cannot be read."""
    value: Any = region.get("value")
    said = value.get("taxonomy") if isinstance(value, dict) else None
    if not isinstance(said, list):
        return None
    if not all(isinstance(path, list) and path and all(isinstance(part, str) for part in path) for path in said):
        return None
    return {join_path(path) for path in said}

"""What the codecs of answers about whole items share: trees of labels, sets, and what a blank answer says."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from labelloop.labelstudio import dynamic
from labelloop.labelstudio.codecs.base import own
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.paths import join_path
from labelloop.labelstudio.per_region import asks_about_parts
from labelloop.labelstudio.tasks import Region
from labelloop.records import Control, SetPrediction, SetTarget

WHOLE_ITEM: Final = frozenset({"Image", "Text", "HyperText", "Paragraphs"})
"""The object tags that can be read as a whole."""

# What a value holds that was said about a part of the item, while the config asked per region or per item of a list.
_OF_A_PART: Final = frozenset({"x", "start", "points", "rle", "imageDataURL", "ranges", "sequence", "itemIndex"})


def of_whole(control: Control, result: Sequence[Region]) -> list[Region] | None:
    """A control's own regions, less those about parts of the item, which are of when the config asked about parts.

    Returns:
        None where all are about parts: an answer about the whole item was not asked for.
    """
    mine = own(control, result)
    whole = [region for region in mine if not _is_about_part(control, region)]
    return whole if whole or not mine else None


def _is_about_part(control: Control, region: Region) -> bool:
    """Whether a region's place in the item is beside its answer; what has the control's own name is no place."""
    value = region.get("value")
    return isinstance(value, dict) and bool(_OF_A_PART & value.keys() - {control.name})


def why_not_whole(tag: Tag) -> str:
    """Why a tag asks about something else than the whole item, as a clause; empty when it does not."""
    asked = asks_about_parts(tag.attributes)
    return f'{asked}="true" asks about parts of a task; only an answer for the whole task is' if asked else ""


def why_not_tree(tag: Tag) -> str:
    """Why the tree of a tag's labels cannot be learnt, as a clause; empty when it can."""
    too_deep = any(label.depth >= dynamic.DEEPEST for label in tag.tree)
    return dynamic.why_not(tag) or (f"its labels are nested more than {dynamic.DEEPEST} deep" if too_deep else "")


def why_not_few(tag: Tag, classes: Iterable[str], least: int) -> str:
    """Why a tag has too few classes, as a clause; empty when it has enough.

    Args:
        tag: the tag.
        classes: the class that each of its labels is; empty where it is none.
        least: how many classes there must be, 1 or 2.
    """
    few = not dynamic.key_of_labels(tag) and len(set(classes) - {""}) < least
    return f"it has fewer than {('one', 'two')[least - 1]} choices" if few else ""


def flag(tag: Tag, name: str) -> bool:
    """Whether an attribute is true."""
    return tag.attributes.get(name, "").lower() == "true"


def options_of(tag: Tag, **more: bool | str) -> tuple[tuple[str, str], ...]:
    """The options of a tag and others, sorted by name; what is false or empty is left out."""
    said = {"required": flag(tag, "required"), dynamic.OPTION: dynamic.key_of_labels(tag), **more}
    return tuple(
        sorted((name, str(value).lower() if value is True else str(value)) for name, value in said.items() if value)
    )


def paths_of(tag: Tag, *, leaves: bool) -> list[str]:
    """For each label of a tag its path as text, from the topmost label down; empty where only leaves count and it is none."""
    above: list[tuple[str, ...]] = []
    for label in tag.tree:
        above.append((*(() if label.parent is None else above[label.parent]), label.name))
    inner = {label.parent for label in tag.tree} if leaves else set()
    return ["" if place in inner else join_path(path) for place, path in enumerate(above)]


def predicted_paths(tag: Tag, paths: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """A model's own names of classes, each with the path that stands for it."""
    named = ((name, path) for label, path in zip(tag.tree, paths, strict=True) for name in label.predicted if path)
    return tuple(dict(named).items())


def blank(control: Control) -> SetTarget | None:
    """What an annotation says that gives no answer where several are possible: that none applies.

    Label Studio saves nothing when every box is left unticked. Where the tag is `required` nobody can have meant that, and it
    says nothing: it was made before the control was there, or elsewhere.
    """
    return None if control.option("required") else SetTarget(())


def merge_sets(targets: Sequence[SetTarget]) -> SetTarget:
    """The classes that more than half name; of one that just half name the first annotator decides.

    Returns:
        Its weight is the share of the annotators that agree, averaged over the classes that any of them names.
    """
    votes = Counter(label for target in targets for label in target.labels)
    half = len(targets) / 2
    kept = [label for label, count in votes.items() if count > half or (count == half and label in targets[0].labels)]
    agree = [max(count, len(targets) - count) / len(targets) for count in votes.values()]
    return replace(targets[0], labels=tuple(sorted(kept)), weight=sum(agree) / len(agree) if agree else 1.0)


def written(control: Control, prediction: SetPrediction) -> list[str]:
    """A set's labels as they are written: in the config's order; no more than may be, the most probable."""
    most = int(control.option("most", "0")) or len(prediction.labels)
    sure = sorted(prediction.labels, key=lambda label: -prediction.probabilities.get(label, 1.0))[:most]
    places = {label: place for place, label in enumerate(control.labels)}
    return sorted(sure, key=lambda label: (places.get(label, len(places)), label))

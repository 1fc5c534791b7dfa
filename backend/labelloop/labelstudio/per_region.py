"""Tags that ask about single regions, and which of them name the class of regions that have none of their own.

A `Rectangle` draws and says no more; a `Choices` with `perRegion="true"` about the same object says what it is. The two are
one thing to learn. Beside a tag that names its regions itself, such as `RectangleLabels`, such a `Choices` says more about
regions that have a class already, and is not learnt.
"""

from dataclasses import replace
from typing import Final

from labelloop.labelstudio.conditions import Condition, conditions_of
from labelloop.labelstudio.label_tags import Attributes, Tag, Tags

PLAIN: Final = frozenset({"Rectangle", "Brush", "Polygon", "Bitmask"})
"""The tags that draw regions without a class."""

# What of the tag that names the classes holds for the two together, where the one that draws does not say it itself.
_TAKEN_OVER: Final[tuple[str, ...]] = ("value", "model_score_threshold")


def joined(tags: Tags) -> dict[str, Tag]:
    """The control tags by name, where each that draws without a class has the labels of the `Choices` that names it.

    The first `Choices` that can be it is taken. It is left out of what is returned: it is a part of the other.
    """
    naming = {name: by for name, tag in tags.controls.items() if tag.kind in PLAIN and (by := _named_by(name, tags))}
    taken = set(naming.values())
    return {
        name: _with_classes(tag, naming[name], tags.controls[naming[name]]) if name in naming else tag
        for name, tag in tags.controls.items()
        if name not in taken
    }


def asks_about_parts(attributes: Attributes) -> str:
    """The attribute by which a tag asks about something else than the whole item; empty where it does not."""
    return next((name for name in ("perRegion", "perItem") if attributes.get(name, "").lower() == "true"), "")


def _named_by(name: str, tags: Tags) -> str:
    """The name of the `Choices` that says what the regions of a tag are; empty where there is none."""
    about = tags.controls[name].attributes["toName"]
    return next((by for by, tag in tags.controls.items() if _names(tag, about) and _always_asks(tag, name, tags)), "")


def _names(tag: Tag, about: str) -> bool:
    return (
        tag.kind == "Choices"
        and asks_about_parts(tag.attributes) == "perRegion"
        and tag.attributes["toName"] == about
        and tag.attributes.get("allowNested", "").lower() != "true"
        and not tag.repeated
    )


def _always_asks(tag: Tag, name: str, tags: Tags) -> bool:
    """Whether a tag asks about every region of the tag of that name."""
    always = Condition("region-selected"), Condition("region-selected", name)
    return not tag.attributes.get("whenLabelValue") and all(one in always for one in conditions_of(tag, tags))


def _with_classes(tag: Tag, by: str, naming: Tag) -> Tag:
    more = {key: naming.attributes[key] for key in _TAKEN_OVER if key in naming.attributes}
    tree = [label for label in naming.tree if not label.depth]
    return replace(
        tag,
        attributes={**more, **tag.attributes},
        labels={label.name: None for label in tree},
        tree=tree,
        predicted={name: label.name for label in tree for name in label.predicted},
        named_by=by,
    )

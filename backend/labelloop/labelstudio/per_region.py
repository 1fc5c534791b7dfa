"""Tags that ask about single regions, and which of them name the class of regions that have none of their own.

A `Rectangle` draws and says no more; `Labels`, or `Choices` with `perRegion="true"`, about the same object say what it is. The
two are one thing to learn. Beside a tag that names its regions itself, such as `RectangleLabels`, such `Choices` say more
about regions that have a class already; see `codecs.attributes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from labelloop.labelstudio.label_tags import Attributes, Tag, Tags

PLAIN: Final = frozenset({"Rectangle", "Brush", "Polygon", "Bitmask"})
"""The tags that draw regions without a class."""

_NAMING: Final = ("Labels", "Choices")
# What of the tag that names the classes holds for the two together, where the one that draws does not say it itself.
_TAKEN_OVER: Final[tuple[str, ...]] = ("value", "model_score_threshold")

# The tags that name classes: by kind, what they are about, and of which tag's regions alone (empty: of any).
_Naming = Mapping[tuple[str, str, str], str]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which regions a tag asks about.

    Attributes:
        to_name: those about this object.
        by: drawn or named with this tag alone; empty: with any.
        labels: of these classes alone; none: of any.
    """

    to_name: str
    by: str = ""
    labels: tuple[str, ...] = ()


def scope_of(tag: Tag) -> Scope | None:
    """Which regions a tag asks about; None where it asks about no regions, or its conditions leave none.

    Follows Label Studio's editor: `whenLabelValue` holds by itself too, and several conditions hold together.
    """
    if asks_about_parts(tag.attributes) != "perRegion":
        return None
    selected = [one for one in tag.conditions if one.get("visiblewhen") == "region-selected"]
    names = {one.get("whentagname", "") for one in selected} - {""}
    said = {one.get("whenlabelvalue", "") for one in selected} | {tag.attributes.get("whenLabelValue", "")}
    allowed = [dict.fromkeys((labels, *labels.split(","))) for labels in sorted(said - {""})]
    labels = tuple(label for label in allowed[0] if all(label in one for one in allowed)) if allowed else ()
    if len(names) > 1 or (allowed and not labels):
        return None
    return Scope(tag.attributes["toName"], next(iter(names), ""), labels)


def joined(tags: Tags) -> dict[str, Tag]:
    """The control tags by name, where each that draws without a class has the labels of the tag that names it.

    `Labels` come before `Choices`, what asks about that tag alone before what asks about any, and of several the first. It is
    left out of what is returned: it is a part of the other.
    """
    asking: dict[tuple[str, str, str], str] = {}
    for name, tag in tags.controls.items():
        if _may_name(tag) and (only := _asks_of(tag)) is not None:
            asking.setdefault((tag.kind, tag.attributes["toName"], only), name)
    naming = {name: by for name, tag in tags.controls.items() if tag.kind in PLAIN and (by := _by(name, tag, asking))}
    taken = set(naming.values())
    return {
        name: _with_classes(tag, naming[name], tags.controls[naming[name]]) if name in naming else tag
        for name, tag in tags.controls.items()
        if name not in taken
    }


def asks_about_parts(attributes: Attributes) -> str:
    """The attribute by which a tag asks about something else than the whole item; empty where it does not."""
    return next((name for name in ("perRegion", "perItem") if attributes.get(name, "").lower() == "true"), "")


def about_whole(tag: Tag) -> Tag:
    """A tag that asks about regions as if it asked about whole items."""
    return replace(tag, attributes={key: value for key, value in tag.attributes.items() if key != "perRegion"})


def _may_name(tag: Tag) -> bool:
    if tag.kind == "Choices":
        nested = tag.attributes.get("allowNested", "").lower() == "true"
        asks = asks_about_parts(tag.attributes) == "perRegion" and not nested
    else:
        asks = tag.kind in _NAMING
    return asks and not tag.repeated and not tag.attributes.get("whenLabelValue")


def _asks_of(tag: Tag) -> str | None:
    """The tag whose every region a tag asks about; empty: any; None: not about every region of any."""
    selected = all(
        one.get("visiblewhen") == "region-selected" and "whenlabelvalue" not in one for one in tag.conditions
    )
    names = {one.get("whentagname", "") for one in tag.conditions} - {""}
    return None if not selected or len(names) > 1 else next(iter(names), "")


def _by(name: str, tag: Tag, asking: _Naming) -> str:
    wanted = ((kind, tag.attributes["toName"], only) for kind in _NAMING for only in (name, ""))
    return next((asking[one] for one in wanted if one in asking), "")


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
        named_in=naming.kind.lower(),
    )

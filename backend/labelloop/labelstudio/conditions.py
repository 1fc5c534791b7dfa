"""Controls that Label Studio shows under a condition only: whether one is visible, by the regions of the others.

Follows Label Studio's editor. A condition on choices looks at the chosen labels; one on a selected region, which is a
matter of where the annotator clicks, holds here when there is such a region to select; `no-region-selected` holds when a
task is opened, and so always. Of several conditions, a tag's own and those of the tags around it, all must hold. What is asked
about regions is shown for each by itself: a condition that names a control looks at what is said of that region alone.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

from labelloop.labelstudio.codecs.plain_regions import NAMED_BY
from labelloop.labelstudio.label_tags import MOST_CONDITIONS, Attributes, Tag, Tags
from labelloop.labelstudio.tasks import Region
from labelloop.records import Control, Kind

OPTION: Final = "shown_when"
"""The name of the option that holds a control's conditions."""

CHOICES: Final = frozenset({"choices", "taxonomy"})
_WHOLE_ITEM: Final = CHOICES | {"rating", "textarea", "number", "datetime", "pairwise", "ranker", "relation"}
_KINDS: Final = frozenset({"choice-selected", "choice-unselected", "region-selected", "no-region-selected"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        when: `choice-selected`, `choice-unselected`, `region-selected` or `no-region-selected`.
        control: the name of the control that it looks at; empty: any other than the one shown.
        labels: labels, as they appear in results, one of which must be there; none: whatever is there.
    """

    when: str
    control: str = ""
    labels: tuple[str, ...] = ()


def conditions_of(tag: Tag, tags: Tags) -> tuple[Condition, ...]:
    """The conditions that a tag is under; a `visibleWhen` that Label Studio does not know is none."""
    return tuple(found for one in tag.conditions for found in _read(one, tags))


def why_not(tag: Tag) -> str:
    """Why a tag's conditions cannot be honoured, as a clause; empty when they can."""
    return "it is under too many conditions" if len(tag.conditions) > MOST_CONDITIONS else ""


def to_option(conditions: Iterable[Condition]) -> tuple[tuple[str, str], ...]:
    """The conditions as an option of a control; nothing where there are none."""
    said = [asdict(condition) for condition in conditions]
    return ((OPTION, json.dumps(said)),) if said else ()


def conditional(control: Control) -> bool:
    """Whether a control is under a condition at all."""
    return bool(_conditions(control))


def visible(control: Control, result: Sequence[Region], known: Collection[str] | None = None) -> bool:
    """Whether a control is shown beside the regions of other controls; its own are not looked at.

    Args:
        control: which.
        result: the regions.
        known: the names of the controls whose regions would be among them; a condition on another holds. None: all are.
    """
    others = [region for region in result if region.get("from_name") != control.name]
    return all(_holds(condition, others) for condition in _asked(control, known))


def about_visible(control: Control, result: list[Region]) -> list[Region]:
    """An annotation's regions, less those that a control which asks about regions was not shown for and has no answer to."""
    if control.kind is not Kind.ATTRIBUTES or not conditional(control):
        return result
    drawn = _drawn(result)
    answered = {_id(region) for region in result if region.get("from_name") == control.name}
    hidden = drawn - answered - _shown_for(control, result, drawn, None)
    return [region for region in result if _id(region) not in hidden]


def kept(written: Sequence[tuple[Control, list[Region]]], beside: Sequence[Region] = ()) -> list[Region]:
    """The regions that may be sent together, in the order given: those of controls that are visible beside the others'."""
    sent = _sent(written, beside, doubtful=False)
    return [region for control, _ in written for region in sent.get(control.name, [])]


def visible_together(
    written: Sequence[tuple[Control, list[Region]]], beside: Sequence[Region] = (), *, doubtful: bool = False
) -> set[str]:
    """The names of the controls that are visible beside the regions of those that are.

    Args:
        written: each control once, with the regions it would send.
        beside: regions that are there already, such as an annotator's.
        doubtful: whether a condition holds that looks at a control which is neither written nor beside.

    Returns:
        None of the controls that wait for each other in a circle.
    """
    return set(_sent(written, beside, doubtful=doubtful))


def _sent(
    written: Sequence[tuple[Control, list[Region]]], beside: Sequence[Region], *, doubtful: bool
) -> dict[str, list[Region]]:
    """The regions of each control that is visible, by its name; see `visible_together`."""
    drawn = _drawn([*beside, *(region for _, mine in written for region in mine)])
    names = _names(control for control, _ in written) | {str(region.get("from_name")) for region in beside}
    known = names if doubtful else None
    sent: dict[str, list[Region]] = {}
    waiting = {control.name: control for control, _ in written}
    regions = {control.name: mine for control, mine in written}
    while ready := [one for one in waiting.values() if not _waits_for(one, waiting)]:
        so_far = [*beside, *(region for mine in sent.values() for region in mine)]
        for control in ready:
            if visible(control, so_far, known):
                sent[control.name] = regions[control.name]
                if control.kind is Kind.ATTRIBUTES and conditional(control):
                    shown = _shown_for(control, so_far, drawn, known)
                    sent[control.name] = [region for region in regions[control.name] if _id(region) in shown]
            del waiting[control.name]
    return sent


def _drawn(result: Iterable[Region]) -> set[str]:
    """The ids of the regions that are drawn; what is said of one has its id."""
    return {_id(region) for region in result if _kind(region) not in _WHOLE_ITEM} - {""}


def _shown_for(
    control: Control, result: Sequence[Region], drawn: Collection[str], known: Collection[str] | None
) -> set[str]:
    """Of the drawn regions those that a control which asks about regions is shown for, beside the others' regions."""
    about: dict[str, list[Region]] = {name: [] for name in drawn}
    whole: list[Region] = []
    for region in result:
        if region.get("from_name") != control.name:
            about.get(_id(region), whole).append(region)
    asked = [one for one in _asked(control, known) if one.control]
    return {name for name, said in about.items() if all(_holds(one, [*whole, *said]) for one in asked)}


def _waits_for(control: Control, waiting: Mapping[str, Control]) -> bool:
    """Whether a condition looks at a control that is not decided yet; one that looks at any waits for all without its like."""
    others = [one for name, one in waiting.items() if name != control.name]
    return bool(_asks(control) & _names(others)) or (
        "" in _asks(control) and any("" not in _asks(one) for one in others)
    )


def _names(controls: Iterable[Control]) -> set[str]:
    """The names that conditions may look at controls by: their own, and those of the tags that name their regions' classes."""
    return {name for control in controls for name in (control.name, control.option(NAMED_BY)) if name}


def _asks(control: Control) -> set[str]:
    """The names of the controls that a control's conditions look at; empty: any."""
    return {found.control for found in _conditions(control) if found.when != "no-region-selected"}


def _asked(control: Control, known: Collection[str] | None) -> list[Condition]:
    """The conditions of a control, less those on controls that are not known; None: all are."""
    return [one for one in _conditions(control) if known is None or one.control in ("", *known)]


def _conditions(control: Control) -> tuple[Condition, ...]:
    return _parsed(control.option(OPTION, "[]"))


@lru_cache(maxsize=256)
def _parsed(said: str) -> tuple[Condition, ...]:
    return tuple(Condition(one["when"], one["control"], tuple(one["labels"])) for one in json.loads(said))


def _read(attributes: Attributes, tags: Tags) -> list[Condition]:
    when, control = attributes.get("visiblewhen", ""), attributes.get("whentagname", "")
    choices = attributes.get("whenchoicevalue", "")
    if not when:
        return [Condition("choice-selected", "", (choices,))] if choices else []
    if when not in _KINDS:
        return []
    if when in ("choice-selected", "choice-unselected"):
        return [Condition(when, control, _in_results(choices, control, tags) if choices else ())]
    labels = attributes.get("whenlabelvalue", "")
    return [Condition(when, control, tuple(labels.split(",")) if labels else ())]


def _in_results(choices: str, control: str, tags: Tags) -> tuple[str, ...]:
    """Choices named by their value or alias, as results name them; one that is not in the config stays as it is."""
    asked = [tags.controls[control]] if control in tags.controls else [] if control else list(tags.controls.values())
    found: dict[str, None] = {}
    for choice in choices.split(","):
        names = [label.name for tag in asked for label in tag.tree if choice in (label.name, label.value)]
        found.update(dict.fromkeys(names or [choice]))
    return tuple(found)


def _holds(condition: Condition, others: Sequence[Region]) -> bool:
    mine = [region for region in others if condition.control in ("", region.get("from_name"))]
    if condition.when == "no-region-selected":
        return True
    if condition.when == "region-selected":
        return any(_named(region, condition.labels) for region in mine if _kind(region) not in _WHOLE_ITEM)
    chosen = any(_named(region, condition.labels) for region in mine if _kind(region) in CHOICES)
    return chosen == (condition.when == "choice-selected")


def _named(region: Region, labels: tuple[str, ...]) -> bool:
    """Whether a region names one of the labels, or any where none is asked for."""
    value: Any = region.get("value")
    said = value.get(_kind(region)) if isinstance(value, dict) else None
    named = [one[-1] if isinstance(one, list) and one else one for one in said] if isinstance(said, list) else []
    return any(label in named for label in labels) if labels else bool(named) or _kind(region) not in CHOICES


def _kind(region: Region) -> str:
    return str(region.get("type"))


def _id(region: Region) -> str:
    return str(region.get("id") or "")

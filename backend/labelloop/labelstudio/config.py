"""What of a label config Labelloop can learn, and why not the rest."""

import re
from dataclasses import dataclass
from functools import lru_cache

from labelloop.labelstudio.label_tags import Tag, Tags, read_tags
from labelloop.records import Control, Modality

MODALITIES = {"Image": Modality.IMAGE, "Text": Modality.TEXT, "HyperText": Modality.TEXT}
"""What each object tag shows."""

_VARIABLE = re.compile(r"\$[^, ]+")


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A label config as far as Labelloop is concerned.

    Attributes:
        controls: what can be learnt, in the config's order.
        unsupported: one line for each control that is not, with its name, its tag and the reason.
    """

    controls: tuple[Control, ...]
    unsupported: tuple[str, ...]


@lru_cache(maxsize=256)
def parse_label_config(xml: str) -> LabelConfig:
    """Find what can be learnt in a label config: every single `Choices` on an image or a text.

    Cheap enough for every request: the last 256 configs are remembered.

    Raises:
        LabelConfigError: the config is empty, not well-formed XML, or declares a document type.
    """
    tags = read_tags(xml)
    controls, unsupported = [], []
    for name, tag in tags.controls.items():
        reason = _why_not(tag, tags)
        if reason:
            unsupported.append(f"{name!r} ({tag.kind}) is not learnt: {reason}.")
        else:
            controls.append(_control(name, tag, tags))
    return LabelConfig(tuple(controls), tuple(unsupported))


def _control(name: str, tag: Tag, tags: Tags) -> Control:
    to_name = tag.attributes["toName"]
    shown = tags.objects[to_name]
    data_key = shown.attributes["value"][1:]
    return Control(name, tag.kind, to_name, data_key, MODALITIES[shown.kind], tuple(tag.labels))


def _why_not(tag: Tag, tags: Tags) -> str:
    """Why a control cannot be learnt; empty when it can."""
    if tag.kind != "Choices":
        return "only Choices are, in this version"
    return _why_not_choices(tag) or _why_not_object(tag.attributes["toName"], tags)


def _why_not_choices(tag: Tag) -> str:
    attributes = tag.attributes
    if attributes.get("choice") == "multiple":
        return 'choice="multiple" allows several classes at once; only single choice is'
    for flag in ("perRegion", "perItem"):
        if attributes.get(flag) == "true":
            return f'{flag}="true" asks about parts of a task; only a choice for the whole task is'
    if attributes.get("value", "").startswith("$"):
        return "its choices come from each task's data; only choices written in the config are"
    if tag.nested or attributes.get("allowNested") == "true":
        return "its choices are nested; only a flat list is"
    if len(tag.labels) < 2:
        return "it has fewer than two choices"
    if tag.repeated:
        return "it is repeated for a list; only a choice for the whole task is"
    if tag.conditional:
        return "visibleWhen shows it under a condition only; take the condition away to have it learnt"
    return ""


def _why_not_object(to_name: str, tags: Tags) -> str:
    if to_name not in tags.objects:
        return f"toName={to_name!r} names no object tag with a value, or more than one"
    shown = tags.objects[to_name]
    if shown.kind not in MODALITIES:
        return f"it is about {shown.kind}; only {', '.join(MODALITIES)} are read"
    if not _VARIABLE.fullmatch(shown.attributes.get("value", "")):
        return f'{shown.kind} {to_name!r} does not show exactly one key of the task\'s data (value="$key")'
    if _value_type(shown) == "url" and MODALITIES[shown.kind] is Modality.TEXT:
        return f'{shown.kind} {to_name!r} has valueType="url"; only text that lies in the task itself is read'
    return ""


def _value_type(tag: Tag) -> str:
    return (tag.attributes.get("valueType") or tag.attributes.get("valuetype") or "").lower()

"""What of a label config Labelloop can learn, and why not the rest."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from labelloop.labelstudio import conditions
from labelloop.labelstudio.codecs import ATTRIBUTES, CODECS, Codec
from labelloop.labelstudio.label_tags import RELATIONS, Tag, Tags, read_tags
from labelloop.labelstudio.per_region import joined, scope_of
from labelloop.labelstudio.texts import ENCODINGS
from labelloop.records import Control, Modality

MODALITIES = {"Image": Modality.IMAGE, "Text": Modality.TEXT, "HyperText": Modality.TEXT, "Paragraphs": Modality.TEXT}
"""What each object tag shows."""

# Attributes of each object tag that say how its text is read, with the options of the control that they become.
_READING = {
    "Text": {"encoding": "encoding"},
    "HyperText": {"encoding": "encoding"},
    "Paragraphs": {"nameKey": "name_key", "textKey": "text_key"},
}
_VARIABLE = re.compile(r"\$[^, ]+")
_NO_REGIONS = 'perRegion="true" asks about regions, and none about the same object are learnt'


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A label config as far as Labelloop is concerned.

    Attributes:
        controls: what can be learnt, in the config's order, what asks about regions after all that may draw them.
        unsupported: one line for each control that is not, with its name, its tag and the reason; what is a part of another, as
            the choices that name a `Rectangle`'s classes, is neither. Relations are told of likewise.
    """

    controls: tuple[Control, ...]
    unsupported: tuple[str, ...]


@lru_cache(maxsize=256)
def parse_label_config(xml: str) -> LabelConfig:
    """Find what can be learnt in a label config: every control that a codec reads, on an object that it can be about.

    Cheap enough for every request: the last 256 configs are remembered.

    Raises:
        LabelConfigError: the config is empty, not well-formed XML, or declares a document type.
    """
    tags = read_tags(xml)
    found = joined(tags)
    scopes = {name: scope for name, tag in found.items() if (scope := scope_of(tag)) is not None}
    controls: list[Control] = []
    reasons: dict[str, str] = {}
    for name in sorted(found, key=scopes.__contains__):
        tag, scope = found[name], scopes.get(name)
        codec = ATTRIBUTES if scope else CODECS.get(tag.kind)
        about = ATTRIBUTES.about(scope, controls) if scope else ()
        reasons[name] = _why_not(tag, tags, codec) or (_NO_REGIONS if scope and not about else "")
        if codec and not reasons[name]:
            controls.append(_control(name, tag, tags, codec, about))
    unsupported = [
        f"{name!r} ({tag.kind}) is not learnt: {reasons[name]}." for name, tag in found.items() if reasons[name]
    ]
    return LabelConfig(tuple(controls), tuple(dict.fromkeys([*unsupported, *_about_nothing(tags)])))


def _about_nothing(tags: Tags) -> Iterator[str]:
    """One line for each tag that asks annotators something, and says of no object that it is about it."""
    for tag in tags.rest:
        if tag.kind == RELATIONS:
            yield "Relations between regions are not learnt."
        elif tag.kind in CODECS:
            yield f"{tag.attributes['name']!r} ({tag.kind}) is not learnt: it has no toName, which says what it is about."


def _control(name: str, tag: Tag, tags: Tags, codec: Codec, about: tuple[tuple[str, str], ...]) -> Control:
    to_name = tag.attributes["toName"]
    shown = tags.objects[to_name]
    described = codec.describe(tag)
    predicted, shown_when = described.predicted_values, conditions.to_option(conditions.conditions_of(tag, tags))
    options = (*described.options, *shown_when, *about, *_reading(shown), *codec.describe_object(shown))
    return Control(
        name=name,
        tag=tag.kind,
        to_name=to_name,
        data_key=shown.attributes["value"][1:],
        modality=MODALITIES[shown.kind],
        labels=described.labels,
        kind=described.kind,
        threshold=_share(tag.attributes.get("model_score_threshold", "")),
        predicted_values=tuple(tag.predicted.items()) if predicted is None else predicted,
        options=tuple(sorted(options)),
    )


def _why_not(tag: Tag, tags: Tags, codec: Codec | None) -> str:
    """Why a control cannot be learnt; empty when it can."""
    if codec is None:
        return f"only {', '.join(CODECS)} are, in this version"
    if tag.repeated:
        return "it is repeated for a list; only a control for the whole task is"
    return conditions.why_not(tag) or codec.why_not(tag) or _why_not_object(tag, tags, codec)


def _why_not_object(tag: Tag, tags: Tags, codec: Codec) -> str:
    to_name = tag.attributes["toName"]
    if to_name not in tags.objects:
        return f"toName={to_name!r} names no object tag with a value, or more than one"
    shown = tags.objects[to_name]
    if shown.kind not in codec.objects:
        return (
            f"it is about {shown.kind}; only {', '.join(kind for kind in MODALITIES if kind in codec.objects)} are read"
        )
    if shown.kind == "Image" and shown.attributes.get("valueList"):
        return f"Image {to_name!r} shows several pages (valueList); only one image (value) of each task is read"
    if not _VARIABLE.fullmatch(shown.attributes.get("value", "")):
        return f'{shown.kind} {to_name!r} does not show exactly one key of the task\'s data (value="$key")'
    if _value_type(shown) == "url" and MODALITIES[shown.kind] is Modality.TEXT:
        return f'{shown.kind} {to_name!r} has valueType="url"; only text that lies in the task itself is read'
    if shown.kind in ("Text", "HyperText") and shown.attributes.get("resolver"):
        return f"{shown.kind} {to_name!r} has a resolver; only text that lies in the task itself is read"
    encoding = dict(_reading(shown)).get("encoding", "none")
    if encoding not in ("none", *ENCODINGS):
        return f'{shown.kind} {to_name!r} has encoding="{encoding}"; only {", ".join(ENCODINGS)} and none are read'
    return codec.why_not_object(shown)


def _reading(shown: Tag) -> list[tuple[str, str]]:
    """How the text of an object is written, and where `Paragraphs` have the author and the words of each utterance."""
    options = _READING.get(shown.kind, {})
    return [(option, said) for name, option in options.items() if (said := shown.attributes.get(name))]


def _share(text: str) -> float:
    """A number in [0, 1]; 0 for what is none."""
    try:
        share = float(text)
    except ValueError:
        return 0.0
    return share if 0 <= share <= 1 else 0.0


def _value_type(tag: Tag) -> str:
    return tag.attributes.get("valueType", "").lower()

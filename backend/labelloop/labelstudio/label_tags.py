"""Reads a label config's tags in one pass.

Follows `label_studio_sdk.label_interface`, which the tests hold it to; that one costs a server some 60 MB. Document
types are refused, and with them every entity of a config's own.
"""

from dataclasses import dataclass, field, replace
from xml.parsers import expat

from labelloop.errors import LabelConfigError

LABEL_TAGS = frozenset({"Label", "Choice", "Relation"})
NOT_CONTROLS = frozenset({"Filter"})

Attributes = dict[str, str]


@dataclass(slots=True)
class Tag:
    """A control or object tag as written.

    Attributes:
        kind: the tag, for example `Choices`.
        attributes: as written.
        repeated: it lies in a `Repeater`.
        conditional: it, or a tag around it, is visible under a condition only.
        labels: of a control, its labels in order (an alias replaces its value).
        nested: a label lies within another, as in a tree of choices.
        predicted: of a control, the label that stands for each of a model's own names (`predicted_values`).
    """

    kind: str
    attributes: Attributes
    repeated: bool = False
    conditional: bool = False
    labels: dict[str, None] = field(default_factory=dict)
    nested: bool = False
    predicted: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tags:
    """The control and object tags of a label config, by name."""

    controls: dict[str, Tag] = field(default_factory=dict)
    objects: dict[str, Tag] = field(default_factory=dict)


def read_tags(xml: str) -> Tags:
    """Read the tags of a label config.

    Raises:
        LabelConfigError: it is empty, not well-formed XML, or declares a document type.
    """
    if not xml.strip():
        raise LabelConfigError(
            "The project has no label config; set one up in Label Studio under Settings, Labeling Interface."
        )
    reader = _Reader()
    try:
        reader.parser.Parse(xml.encode(), True)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        raise LabelConfigError(f"The label config is not well-formed XML ({error}); mend it in Label Studio.") from None
    return reader.tags


@dataclass(frozen=True, slots=True)
class _Around:
    """What holds for everything inside an open tag; taken over from tag to tag, so that depth costs nothing."""

    control: Tag | None = None
    in_label: bool = False
    repeated: bool = False
    conditional: bool = False


class _Reader:
    def __init__(self) -> None:
        self.tags = Tags()
        self._open = [_Around()]
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = _refuse

    def _start(self, kind: str, attributes: Attributes) -> None:
        around = replace(
            self._open[-1],
            repeated=self._open[-1].repeated or kind == "Repeater",
            conditional=self._open[-1].conditional or "visibleWhen" in attributes,
        )
        name = attributes.get("name", "")
        tag = Tag(kind, attributes, around.repeated, around.conditional)
        if name and attributes.get("toName") and kind not in NOT_CONTROLS:
            self.tags.controls[name] = tag
            around = replace(around, control=tag)
        elif name and (attributes.get("value") or attributes.get("valueList")):
            self.tags.objects[name] = tag
        elif kind in LABEL_TAGS:
            _add_label(around, attributes)
            around = replace(around, in_label=True)
        self._open.append(around)

    def _end(self, kind: str) -> None:
        self._open.pop()


def _add_label(around: _Around, attributes: Attributes) -> None:
    label = attributes.get("alias") or attributes.get("value")
    if around.control is not None and label:
        around.control.labels[label] = None
        around.control.nested |= around.in_label
        names = (name.strip() for name in attributes.get("predicted_values", "").split(","))
        around.control.predicted.update({name: label for name in names if name})


def _refuse(*_: object) -> None:
    raise LabelConfigError("The label config declares a document type, which is refused; take the <!DOCTYPE …> out.")

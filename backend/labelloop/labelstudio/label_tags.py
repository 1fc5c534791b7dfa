"""Reads a label config's tags in one pass.

Follows `label_studio_sdk.label_interface`, which the tests hold it to; that one costs a server some 60 MB. Document
types are refused, and with them every entity of a config's own.
"""

from dataclasses import dataclass, field
from xml.parsers import expat

from labelloop.errors import LabelConfigError

LABEL_TAGS = frozenset({"Label", "Choice", "Relation"})
NOT_CONTROLS = frozenset({"Filter"})

Attributes = dict[str, str]
Open = tuple[str, Attributes]


@dataclass(slots=True)
class Tag:
    """A control or object tag as written.

    Attributes:
        kind: the tag, for example `Choices`.
        attributes: as written.
        ancestors: the tags around it, outermost first.
        labels: of a control, its labels in order (an alias replaces its value).
        nested: a label lies within another, as in a tree of choices.
    """

    kind: str
    attributes: Attributes
    ancestors: tuple[Open, ...]
    labels: dict[str, None] = field(default_factory=dict)
    nested: bool = False


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


class _Reader:
    def __init__(self) -> None:
        self.tags = Tags()
        self._open: list[Open] = []
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = _refuse

    def _start(self, kind: str, attributes: Attributes) -> None:
        name = attributes.get("name", "")
        if name and attributes.get("toName") and kind not in NOT_CONTROLS:
            self.tags.controls[name] = Tag(kind, attributes, tuple(self._open))
        elif name and (attributes.get("value") or attributes.get("valueList")):
            self.tags.objects[name] = Tag(kind, attributes, tuple(self._open))
        elif kind in LABEL_TAGS:
            self._label(attributes)
        self._open.append((kind, attributes))

    def _label(self, attributes: Attributes) -> None:
        control = self._enclosing_control()
        label = attributes.get("alias") or attributes.get("value")
        if control is None or not label:
            return
        control.labels[label] = None
        control.nested |= any(kind in LABEL_TAGS for kind, _ in self._open)

    def _enclosing_control(self) -> Tag | None:
        names = (attributes.get("name", "") for _, attributes in reversed(self._open))
        return next((self.tags.controls[name] for name in names if name in self.tags.controls), None)

    def _end(self, kind: str) -> None:
        self._open.pop()


def _refuse(*_: object) -> None:
    raise LabelConfigError("The label config declares a document type, which is refused; take the <!DOCTYPE …> out.")

"""Reads a label config's tags in one pass.

Follows `label_studio_sdk.label_interface`, which the tests hold it to; that one costs a server some 60 MB. Document
types are refused, and with them every entity of a config's own.
"""

from dataclasses import dataclass, field, replace
from typing import Final
from xml.parsers import expat

from labelloop.errors import LabelConfigError

LABEL_TAGS = frozenset({"Label", "Choice", "Relation"})
RELATIONS: Final = "Relations"
NOT_CONTROLS = frozenset({"Filter"})

# More conditions than this around one tag are no label config that a person wrote.
MOST_CONDITIONS = 20

Attributes = dict[str, str]

# Label Studio's editor takes these however they are written. Its server takes `toName`, `choice` and `maxRating` in this spelling
# alone when it checks what is imported, and so they are taken here.
_SPELLINGS: Final = {
    name.lower(): name
    for name in (
        *("allowNested", "apiUrl", "contextScroll", "encoding", "granularity", "inline", "labeling", "leafsOnly"),
        *("maxUsages", "nameKey", "perItem", "perRegion", "required", "resolver", "textKey", "valueType"),
        "whenLabelValue",
    )
}

# So are the names of tags, for which both take any spelling; for `Label` and `Choice` the server does not.
_KINDS: Final = {
    kind.lower(): kind
    for kind in (
        *("Image", "Text", "HyperText", "Paragraphs", "Choices", "Taxonomy", "Rating", "TextArea", "Labels"),
        *("HyperTextLabels", "ParagraphLabels", "RectangleLabels", "BrushLabels", "PolygonLabels", "BitmaskLabels"),
        *("Rectangle", "Brush", "Polygon", "Bitmask", "Repeater", RELATIONS),
    )
}


@dataclass(frozen=True, slots=True)
class Label:
    """A label as written, with its place in the tree of its control's labels.

    Attributes:
        name: as it appears in results: its alias, or else its value.
        value: as written; empty when it has an alias alone.
        parent: the place in `Tag.tree` of the label that it lies in; None: it lies in none.
        depth: how many labels it lies in.
        predicted: a model's own names for it (`predicted_values`).
    """

    name: str
    value: str
    parent: int | None = None
    depth: int = 0
    predicted: tuple[str, ...] = ()


@dataclass(slots=True)
class Tag:
    """A control or object tag as written.

    Attributes:
        kind: the tag, for example `Choices`; one that is learnt of or read in its usual spelling.
        attributes: as written; what the editor takes in any spelling is under the usual one too.
        repeated: it lies in a `Repeater`.
        conditions: the attributes, names in lower case, of each tag that shows it under a condition only, outermost first, its
            own last; no more than `MOST_CONDITIONS` + 1.
        labels: of a control, its labels in order (an alias replaces its value).
        tree: of a control, its labels in order, each with the one that it lies in.
        predicted: of a control, the label that stands for each of a model's own names (`predicted_values`).
        named_by: of a control that draws regions without a class, the one that names their classes; see `per_region`.
        named_in: the type of that one's results.
    """

    kind: str
    attributes: Attributes
    repeated: bool = False
    conditions: tuple[Attributes, ...] = ()
    labels: dict[str, None] = field(default_factory=dict)
    tree: list[Label] = field(default_factory=list)
    predicted: dict[str, str] = field(default_factory=dict)
    named_by: str = ""
    named_in: str = ""


@dataclass(slots=True)
class Tags:
    """The tags of a label config.

    Attributes:
        controls: by name.
        objects: by name.
        rest: other tags that may ask something: `Relations`, and what has a name and says of no object that it is about it.
    """

    controls: dict[str, Tag] = field(default_factory=dict)
    objects: dict[str, Tag] = field(default_factory=dict)
    rest: list[Tag] = field(default_factory=list)


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
    label: int | None = None
    repeated: bool = False
    conditions: tuple[Attributes, ...] = ()


class _Reader:
    def __init__(self) -> None:
        self.tags = Tags()
        self._open = [_Around()]
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = _refuse

    def _start(self, kind: str, attributes: Attributes) -> None:
        kind, attributes = _KINDS.get(kind.lower(), kind), _spelt(attributes)
        around = replace(
            self._open[-1],
            repeated=self._open[-1].repeated or kind == "Repeater",
            conditions=_conditions(self._open[-1].conditions, attributes),
        )
        name = attributes.get("name", "")
        tag = Tag(kind, attributes, around.repeated, around.conditions)
        if name and attributes.get("toName") and kind not in NOT_CONTROLS:
            self.tags.controls[name] = tag
            around = replace(around, control=tag, label=None)
        elif name and (attributes.get("value") or attributes.get("valueList")):
            self.tags.objects[name] = tag
        elif kind in LABEL_TAGS:
            around = replace(around, label=_add_label(around, attributes))
        elif name or kind == RELATIONS:
            self.tags.rest.append(tag)
        self._open.append(around)

    def _end(self, kind: str) -> None:
        self._open.pop()


def _spelt(attributes: Attributes) -> Attributes:
    """The attributes, also under their usual names; what is written under such a name itself holds."""
    usual = {known: value for name, value in attributes.items() if (known := _SPELLINGS.get(name.lower()))}
    return {**usual, **attributes}


def _add_label(around: _Around, attributes: Attributes) -> int | None:
    """Give the control that a label lies in the label; its place in the tree, or that of the label around one without a name."""
    label, control = attributes.get("alias") or attributes.get("value"), around.control
    if control is None or not label:
        return around.label
    control.labels[label] = None
    depth = 0 if around.label is None else control.tree[around.label].depth + 1
    names = [name.strip() for name in attributes.get("predicted_values", "").split(",")]
    predicted = tuple(name for name in names if name)
    control.tree.append(Label(label, attributes.get("value", ""), around.label, depth, predicted))
    control.predicted.update(dict.fromkeys(predicted, label))
    return len(control.tree) - 1


def _conditions(around: tuple[Attributes, ...], attributes: Attributes) -> tuple[Attributes, ...]:
    lower = {name.lower(): value for name, value in attributes.items()}
    if not {"visiblewhen", "whenchoicevalue"} & lower.keys() or len(around) > MOST_CONDITIONS:
        return around
    return (*around, lower)


def _refuse(*_: object) -> None:
    raise LabelConfigError("The label config declares a document type, which is refused; take the <!DOCTYPE …> out.")

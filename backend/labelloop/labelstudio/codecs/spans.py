"""Marked stretches of a text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, cast

from labelloop.errors import MediaBroken
from labelloop.labelstudio.codecs.base import RegionsCodec, of_control, region_id, region_of, whole_number
from labelloop.labelstudio.conversations import Conversation
from labelloop.labelstudio.hypertext import page_text
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.tasks import Region
from labelloop.labelstudio.texts import encodable
from labelloop.records import Control, Kind, Part, Span, SpansPrediction, SpansTarget, Target

# Attributes of the text's tag that say what its characters are, and where people may begin and end a span.
_SHOWN = ("granularity", "inline")


class SpansCodec(RegionsCodec):
    r"""The results of `Labels` and `HyperTextLabels` on a text: a region for each span, with one label or several.

    Label Studio's editor counts code points of the text as it is in the task; `\r` and `\n` are one each. On HyperText it
    counts those of the page's text and keeps them as `globalOffsets`, beside places in the page's tree. It takes plain
    `start` and `end` there too, as counts in the page's text, and saves them so again; that is what is written.
    """

    objects: ClassVar = frozenset({"Text", "HyperText", "Paragraphs"})
    kind: ClassVar = Kind.SPANS

    def why_not_object(self, shown: Tag) -> str:
        """A text that only the browser decodes cannot be read here, and a conversation is marked with another tag."""
        if shown.kind == "Paragraphs":
            return "in Label Studio people can mark Paragraphs with ParagraphLabels alone"
        encoding = shown.attributes.get("encoding", "none")
        return "" if encoding == "none" else f'its text is written in encoding="{encoding}"; only plain text is read'

    def describe_object(self, shown: Tag) -> tuple[tuple[str, str], ...]:
        """The text's tag, and what of its attributes matters."""
        known = {name: shown.attributes[name] for name in _SHOWN if name in shown.attributes}
        return tuple(sorted({**known, "object": shown.kind}.items()))

    def read(self, control: Control, result: list[Region], value: object = None) -> SpansTarget | None:
        """Every span, in order, each once; without a region, that there is none.

        None where there are regions, but none says where it lies in the text, as those on HyperText that other programs made
        from places in the page's tree alone.
        """
        values = of_control(control, result)
        spans = {span for value in values for span in _spans(control, value)}
        if values and not spans:
            return None
        return SpansTarget(tuple(sorted(spans, key=_place)))

    def placed(self, control: Control, prediction: SpansPrediction, value: object) -> list[tuple[Part, Region]]:
        """Each span that lies in the text, with its region."""
        try:
            text = marked_text(control, value)
        except MediaBroken:
            return []
        spans = (span for span in prediction.spans if 0 <= span.start < span.end <= len(text))
        return [(span, _region(control, span, text)) for span in spans]

    def merge(self, control: Control, targets: Sequence[Target]) -> SpansTarget:
        """The spans that at least half of the annotators marked exactly so.

        Returns:
            Its weight is the mean over the annotators of the F1 of what each marked, measured by what is kept; at least the
            share of one annotator.
        """
        marked = [frozenset(cast(SpansTarget, target).spans) for target in targets]
        votes = Counter(span for spans in marked for span in spans)
        kept = {span for span, count in votes.items() if 2 * count >= len(targets)}
        weight = max(sum(_agreement(spans, kept) for spans in marked) / len(marked), 1 / len(marked))
        return SpansTarget(tuple(sorted(kept, key=_place)), weight)


def marked_text(control: Control, value: object, max_chars: int | None = None) -> str:
    """The text whose code points a control's spans count: as the task has it, of the page, or of the conversation.

    Args:
        control: whose.
        value: what the task's data holds under the control's key.
        max_chars: how many characters to keep, from the start; None: all.

    Raises:
        MediaBroken: there is no text, or no conversation, or what a browser makes of the page cannot be told for certain.
    """
    text = _text(control, value)
    if not text.strip():
        raise MediaBroken("its text is empty; a task needs some to be learnt from.")
    return text[:max_chars]


def conversation(control: Control, value: object) -> Conversation:
    """What a control about `Paragraphs` shows.

    Raises:
        MediaBroken: it is no conversation.
    """
    return Conversation.parse(value, control.option("text_key", "text"))


def _text(control: Control, value: object) -> str:
    if control.option("object") == "Paragraphs":
        return conversation(control, value).text
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise MediaBroken(f"a text is expected, and there is {type(value).__name__} instead; correct the task's data.")
    if control.option("object") == "HyperText":
        return page_text(str(value), inline=control.option("inline") == "true")
    return str(value)


def _spans(control: Control, value: dict[str, Any]) -> Iterable[Span]:
    labels, place = value.get(control.tag.lower()), value
    if "startOffset" in value or "endOffset" in value:  # places in the page's tree, with counts beside them
        place = value.get("globalOffsets") or {}
    start, end = (whole_number(place.get(name)) for name in ("start", "end")) if isinstance(place, dict) else (-1, -1)
    if not isinstance(labels, list) or not 0 <= start < end:
        return []
    return [Span(label, start, end) for label in labels if isinstance(label, str)]


def _region(control: Control, span: Span, text: str) -> Region:
    said = f"{control.name} {span.label} {span.start} {span.end}"
    key = control.tag.lower()
    value = {"start": span.start, "end": span.end, "text": encodable(text[span.start : span.end]), key: [span.label]}
    return region_of(control, key, value, span.score, id=region_id(said))


def _place(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label


def _agreement(spans: frozenset[Span], kept: set[Span]) -> float:
    both = len(spans) + len(kept)
    return 2 * len(spans & kept) / both if both else 1.0

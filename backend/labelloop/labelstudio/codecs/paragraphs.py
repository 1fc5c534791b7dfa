"""Marked stretches of a conversation."""

from typing import Any, ClassVar

from labelloop.errors import MediaBroken
from labelloop.labelstudio.codecs.base import own, region_id, region_of, whole_number
from labelloop.labelstudio.codecs.spans import SpansCodec, conversation
from labelloop.labelstudio.conversations import Conversation, Place
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.tasks import Region
from labelloop.labelstudio.texts import encodable
from labelloop.records import Control, Part, Span, SpansPrediction, SpansTarget


class ParagraphsCodec(SpansCodec):
    """The results of `ParagraphLabels` on `Paragraphs`: a region for each span, which may go on over several utterances.

    Spans count the code points of the conversation's text (`conversations`).
    """

    objects: ClassVar = frozenset({"Paragraphs"})

    def why_not_object(self, shown: Tag) -> str:
        """Utterances that the editor sorts have other numbers than in the task."""
        sorts = shown.attributes.get("contextScroll", "").lower() == "true"
        return 'contextScroll="true" may show its utterances in another order than the task has them' if sorts else ""

    def describe_object(self, shown: Tag) -> tuple[tuple[str, str], ...]:
        """The tag alone; where the utterances have their words is known of every conversation."""
        return (("object", shown.kind),)

    def read(self, control: Control, result: list[Region], value: object = None) -> SpansTarget | None:
        """Every span of the task's conversation, in order, each once; None where there are regions and none lies in it."""
        try:
            talk = conversation(control, value)
        except MediaBroken:
            talk = Conversation(())
        return super().read(control, [_counted(region, talk) for region in own(control, result)])

    def placed(self, control: Control, prediction: SpansPrediction, value: object) -> list[tuple[Part, Region]]:
        """Each span that lies in the conversation, with its region."""
        try:
            talk = conversation(control, value)
        except MediaBroken:
            return []
        found = ((span, talk.places(span.start, span.end)) for span in prediction.spans)
        return [(span, _region(control, span, talk, *places)) for span, places in found if places]


def _counted(region: Region, talk: Conversation) -> Region:
    """The region with `start` and `end` as counts in the conversation's text, as plain texts have them."""
    value: Any = region.get("value")
    if not isinstance(value, dict):
        return region
    start, end = (
        talk.offset((whole_number(value.get(side)), whole_number(value.get(f"{side}Offset"))))
        for side in ("start", "end")
    )
    labels = {key: said for key, said in value.items() if "Offset" not in key}
    return {**region, "value": {**labels, "start": start, "end": end}}


def _region(control: Control, span: Span, talk: Conversation, start: Place, end: Place) -> Region:
    key = control.tag.lower()
    value = {
        # The editor shows no region whose utterances are numbers.
        "start": str(start[0]),
        "end": str(end[0]),
        "startOffset": start[1],
        "endOffset": end[1],
        "text": encodable(talk.text[talk.offset(start) : talk.offset(end)]),
        key: [span.label],
    }
    said = f"{control.name} {span.label} {start} {end}"
    return region_of(control, key, value, span.score, id=region_id(said))

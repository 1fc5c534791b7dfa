"""A text, or several, in answer to the whole item: a translation, a summary, a caption."""

from typing import Any, ClassVar

from labelloop.labelstudio.codecs.base import Codec, Described, of_control, region_of
from labelloop.labelstudio.codecs.whole_items import WHOLE_ITEM, of_whole, why_not_whole
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.tasks import Region
from labelloop.labelstudio.texts import encodable
from labelloop.records import Control, Kind, TextPrediction, TextTarget


class TextAreaCodec(Codec):
    """The results of `TextArea`: one region whose value lists the texts.

    What a person saved is read as it is, edits of what was pre-filled included; the first text is the one to learn.
    """

    objects: ClassVar = WHOLE_ITEM

    def why_not(self, tag: Tag) -> str:
        """Why not every `TextArea` can be learnt."""
        return why_not_whole(tag)

    def describe(self, tag: Tag) -> Described:
        """A text for the item; there are no classes."""
        return Described(Kind.TEXT, ())

    def read(self, control: Control, result: list[Region], value: object = None) -> TextTarget | None:
        """Every text that is not blank, in the order they were given; None when there is none."""
        values = of_control(control, of_whole(control, result) or [])
        texts = tuple(text for value in values for text in _texts(value) if text.strip())
        return TextTarget(texts) if texts else None

    def write(self, control: Control, prediction: TextPrediction, value: object) -> list[Region]:
        """One region with the predicted text, which any `maxSubmissions` allows; nothing for a blank one."""
        (text,) = _texts({"text": prediction.text})
        if not text.strip():
            return []
        return [region_of(control, "textarea", {"text": [text]}, prediction.confidence)]


def _texts(value: dict[str, Any]) -> list[str]:
    """The texts of a value, as databases and tokenizers take them: no lone surrogates, which JSON can carry, and no zeros."""
    texts = value.get("text")
    many = texts if isinstance(texts, list) else [texts]
    return [encodable(text).replace("\0", " ") for text in many if isinstance(text, str)]

"""A single choice for the whole item."""

from typing import Any, ClassVar

from labelloop.labelstudio.codecs.base import Codec, Described, of_control
from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.tasks import Region
from labelloop.records import ClassPrediction, ClassTarget, Control, Kind


class ChoicesCodec(Codec):
    """The results of `Choices`: one region whose value names one choice, by its alias where it has one."""

    objects: ClassVar = frozenset({"Image", "Text", "HyperText"})

    def why_not(self, tag: Tag) -> str:
        """Why not every `Choices` can be learnt."""
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
        return "it has fewer than two choices" if len(tag.labels) < 2 else ""

    def describe(self, tag: Tag) -> Described:
        """A class for the item."""
        return Described(Kind.CLASS, tuple(tag.labels))

    def read(self, control: Control, result: list[Region]) -> ClassTarget | None:
        """The chosen label; None when none or several are chosen, as happens while a config allows several."""
        chosen = {choice for value in of_control(control, result) for choice in _choices(value)}
        return ClassTarget(chosen.pop()) if len(chosen) == 1 else None

    def write(self, control: Control, prediction: ClassPrediction, value: object) -> list[Region]:
        """One region with the predicted label."""
        return [
            {
                "from_name": control.name,
                "to_name": control.to_name,
                "type": "choices",
                "value": {"choices": [prediction.label]},
                "score": float(prediction.confidence),
            }
        ]


def _choices(value: dict[str, Any]) -> set[str]:
    choices = value.get("choices")
    return {choice for choice in choices if isinstance(choice, str)} if isinstance(choices, list) else set()

"""A single choice for the whole item."""

from labelloop.labelstudio.tasks import Region
from labelloop.records import Control, Prediction


class ChoicesCodec:
    """The results of `Choices`: one region whose value names one choice, by its alias where it has one."""

    def read(self, control: Control, result: list[Region]) -> str | None:
        """The chosen label; None when none or several are chosen, as happens while a config allows several."""
        chosen: set[str] = set()
        for region in result:
            if region.get("from_name") == control.name:
                chosen |= _choices(region)
        return chosen.pop() if len(chosen) == 1 else None

    def write(self, control: Control, prediction: Prediction) -> list[Region]:
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


def _choices(region: Region) -> set[str]:
    value = region.get("value")
    choices = value.get("choices") if isinstance(value, dict) else None
    return {choice for choice in choices if isinstance(choice, str)} if isinstance(choices, list) else set()

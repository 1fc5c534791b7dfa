"""A made project whose second question is asked only where the first is answered with yes."""

from typing import Any

from support.kinds import Made

CONFIG = (
    '<View><Text name="t" value="$text"/>'
    '<Choices name="damage" toName="t"><Choice value="no"/><Choice value="yes"/></Choices>'
    '<Choices name="severity" toName="t" visibleWhen="choice-selected" whenTagName="damage" whenChoiceValue="yes">'
    '<Choice value="low"/><Choice value="high"/></Choices></View>'
)
WORDS = {"no": "calm quiet tiny huge", "yes": "crash smash"}


def _item(number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    damage, severity = ("no", "yes")[number % 2], ("low", "high")[number // 2 % 2]
    size = {"low": "tiny light", "high": "huge heavy"}[severity] if damage == "yes" else ""
    said = [_chose("damage", damage)] + [_chose("severity", severity)] * (damage == "yes")
    return {"text": f"{WORDS[damage]} {size} {number}"}, said


def _chose(name: str, label: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "t", "type": "choices", "value": {"choices": [label]}}


DAMAGES = Made(CONFIG, "severity", _item)
"""Texts that say for sure whether there is damage; where there is none, nothing tells how severe it would be."""

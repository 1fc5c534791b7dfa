"""Labels that come from each task's data (`value="$options"`), not from the label config.

Such a control's labels are those that annotations have named so far. What a model says of a task is narrowed to what the
task offers. A label that a task did not offer counts as not chosen there, and not to be found, which is right where tasks
offer the same or labels that exclude each other, and makes classes look rarer than they are where they do not.

A single choice may be written so, too (`<Choice value="$first"/>`): people then answer with what the task holds, and the import
takes the name in the config alone. Only its alias is the same everywhere.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from labelloop.labelstudio.label_tags import Tag
from labelloop.labelstudio.paths import join_path
from labelloop.records import ClassPrediction, Control, Prediction, Target, value_of

OPTION: Final = "labels_from"
"""The name of the option that holds the data key of such a control's labels."""

# Deeper trees are no labels that a person chooses from.
DEEPEST: Final = 20

# What of a choice Label Studio's editor replaces by what the task's data holds.
_REPLACED: Final = re.compile(r"\$[\w\[\].{}]+", re.ASCII)


def key_of_labels(tag: Tag) -> str:
    """The data key that a tag takes its labels from; empty where they are in the config."""
    value = tag.attributes.get("value", "")
    return value[1:] if value.startswith("$") else ""


def why_not(tag: Tag) -> str:
    """Why where a tag's labels come from cannot be honoured, as a clause; empty when it can."""
    both = key_of_labels(tag) and tag.tree
    if both:
        return "it takes labels from both the config and each task's data; only one of the two is"
    choices = tag.tree if "Choices" in (tag.kind, tag.named_in.capitalize()) else []
    filled = next((label.value for label in choices if label.name == label.value and _REPLACED.search(label.value)), "")
    return (
        f'its choice "{filled}" is another text in each task; give it an alias, which is what is learnt'
        if filled
        else ""
    )


def with_used_labels(control: Control, targets: Iterable[Target]) -> Control:
    """The control with the labels that people have used so far, sorted; one whose labels are in the config as it is."""
    if not control.option(OPTION):
        return control
    return replace(control, labels=tuple(sorted({label for target in targets for label in target.classes})))


def offered(control: Control, data: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels that a task offers: names, or paths as text where they form a tree. Each once."""
    tree = control.option("nested") == "true" or control.tag == "Taxonomy"
    leaves = control.tag == "Choices" or control.option("leaves") == "true"
    found: dict[str, None] = {}
    waiting: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        (item, ()) for item in reversed(_items(value_of(data, control.option(OPTION))))
    ]
    while waiting:
        item, above = waiting.pop()
        name = item.get("alias") or item.get("value")
        if not isinstance(name, str):
            continue
        path = (*above, name)
        below = _items(item.get("children")) if tree and len(path) < DEEPEST else []
        if not (leaves and below):
            found[join_path(path) if tree else name] = None
        waiting += [(child, path) for child in reversed(below)]
    return tuple(found)


def narrowed(control: Control, prediction: Prediction, data: Mapping[str, Any]) -> Prediction | None:
    """What of a prediction a task can be told; None when it offers nothing of it.

    A single class becomes the most probable of those offered, its probability being that among them.
    """
    if not control.option(OPTION):
        return prediction
    labels = offered(control, data)
    if not isinstance(prediction, ClassPrediction) or not prediction.probabilities:
        return prediction.shown(labels, 0.0)
    among = {label: prediction.probabilities[label] for label in labels if prediction.probabilities.get(label, 0) > 0}
    if not among:
        return None
    total, best = sum(among.values()), max(among, key=among.__getitem__)
    shares = {label: probability / total for label, probability in among.items()}
    return ClassPrediction(best, shares[best], prediction.uncertainty, shares)


def _items(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

"""Plain records that pass between the rooms: what is to be learnt, from what, and what a model says of it.

`labelstudio` turns Label Studio's JSON into these and back; `learning` knows nothing else of Label Studio.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Modality(StrEnum):
    """What a control tag's object shows, and so which family of backbones reads it."""

    IMAGE = "image"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Control:
    """One control tag of a label config that Labelloop can learn.

    Attributes:
        name: the tag's name, `from_name` in a result.
        tag: the tag's kind as written in the config, for example `Choices`.
        to_name: the object tag's name, `to_name` in a result.
        data_key: the key of a task's `data` that holds the object.
        modality: what the object shows.
        labels: the classes as they appear in results (an alias replaces its value), in the config's order.
    """

    name: str
    tag: str
    to_name: str
    data_key: str
    modality: Modality
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClassTarget:
    """The class that people gave one item.

    Attributes:
        label: one of the control's labels, or one that the config has lost since.
        weight: share of the annotators who agree, in (0, 1].
        ground_truth: a person marked the annotation as ground truth.
    """

    label: str
    weight: float = 1.0
    ground_truth: bool = False


@dataclass(frozen=True, slots=True)
class ClassPrediction:
    """What a model says of one item.

    Attributes:
        label: the most probable class.
        confidence: its calibrated probability, in [0, 1].
        uncertainty: how little the model knows of the item, in [0, 1]; Label Studio's score is 1 minus it.
        probabilities: calibrated probability by class; they sum to 1.
    """

    label: str
    confidence: float
    uncertainty: float
    probabilities: dict[str, float] = field(default_factory=dict)


Target = ClassTarget
Prediction = ClassPrediction

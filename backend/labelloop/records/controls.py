"""What of a label config is to be learnt."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ANSWER: Final = "answer"
"""The name of the option that says of what kind answers about regions are."""


class Modality(StrEnum):
    """What a control tag's object shows, and so which family of backbones reads it."""

    IMAGE = "image"
    TEXT = "text"


class Kind(StrEnum):
    """What people say with a control, and so which learner learns it."""

    CLASS = "class"  # one class for the item
    SET = "set"  # any number of classes for the item
    RATING = "rating"  # one of the classes "1", "2", … for the item, in that order
    BOXES = "boxes"  # rectangles in an image, each of a class
    MASKS = "masks"  # areas of an image, each of a class
    SPANS = "spans"  # stretches of a text, each of a class
    ATTRIBUTES = "attributes"  # a class, a set, a rating or a text for each region that others draw
    TEXT = "text"  # a text in answer to the item, such as its translation

    @property
    def single(self) -> bool:
        """Whether an item has one class, so that an answer is simply right or wrong."""
        return self in (Kind.CLASS, Kind.RATING)

    @property
    def drawn(self) -> bool:
        """Whether people draw in images: an answer takes minutes, and says as much as many classes of items do."""
        return self in (Kind.BOXES, Kind.MASKS)


@dataclass(frozen=True, slots=True)
class Control:
    """One control tag of a label config that Labelloop can learn.

    Attributes:
        name: the tag's name, `from_name` in a result.
        tag: the tag's kind as written in the config, for example `Choices`.
        to_name: the object tag's name, `to_name` in a result.
        data_key: the key of a task's `data` that holds the object, as the config writes it; see `lookup.value_of`.
        modality: what the object shows.
        labels: the classes as they appear in results (an alias replaces its value), in the config's order; none where the
            answer is a text.
        kind: what people say with it.
        threshold: `model_score_threshold`: regions that a model is less sure of than this are not shown, in [0, 1].
        predicted_values: a model's own names of classes, each with the label that stands for it here.
        options: further attributes of the tag that its codec or learner goes by, sorted by name.
    """

    name: str
    tag: str
    to_name: str
    data_key: str
    modality: Modality
    labels: tuple[str, ...]
    kind: Kind = Kind.CLASS
    threshold: float = 0.0
    predicted_values: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def answer(self) -> Kind:
        """Of what kind the answers are: about each region where the control asks about regions, else its own kind."""
        return Kind(self.option(ANSWER, self.kind))

    @property
    def question(self) -> tuple[str, Kind, Kind, Modality]:
        """What it asks, whatever the classes are: tag, kind, answer and modality."""
        return self.tag, self.kind, self.answer, self.modality

    def option(self, name: str, default: str = "") -> str:
        """One of `options`, or the default where the tag does not have it."""
        return dict(self.options).get(name, default)

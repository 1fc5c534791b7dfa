"""What a model says of one item, by kind of control."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, Self, TypeVar

from labelloop.records.masks import Mask
from labelloop.records.regions import Attribute, Box, Span

MOST_SHOWN: Final = 1000
"""Regions of one control that are shown of an item, the surest. Where Label Studio's page took 5 s to show a hundred spans, it took
10 s for a thousand, and 47 s for ten thousand, after which each click took 2 s."""


class Prediction(Protocol):
    """What every prediction answers, whatever it holds."""

    @property
    def uncertainty(self) -> float:
        """How little the model knows of the item, in [0, 1]; Label Studio's score is 1 minus it."""
        ...

    @property
    def confidence(self) -> float:
        """Calibrated confidence in the whole, in [0, 1]."""
        ...

    @property
    def summary(self) -> str:
        """One line, the same for two predictions just when they show the same; comparable with a target's."""
        ...

    def shown(self, labels: Collection[str], threshold: float) -> Self | None:
        """What annotators are to see of it.

        Args:
            labels: the classes that exist; Label Studio would refuse another, or worse, show it.
            threshold: least confidence of what is shown.

        Returns:
            None when there is nothing to see; regions that are held back are missing from what is returned.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClassPrediction:
    """One class for the item.

    Attributes:
        label: the most probable class; of ratings the median, which is the nearest on average.
        confidence: its calibrated probability, in [0, 1].
        uncertainty: how little the model knows of the item, in [0, 1].
        probabilities: calibrated probability by class; they sum to 1.
    """

    label: str
    confidence: float
    uncertainty: float
    probabilities: dict[str, float] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The label."""
        return self.label

    def shown(self, labels: Collection[str], threshold: float) -> Self | None:
        """Itself, when its class exists and it is confident enough."""
        return self if self.label in labels and self.confidence >= threshold else None


@dataclass(frozen=True, slots=True)
class SetPrediction:
    """A set of classes for the item.

    Attributes:
        labels: the classes the model says yes to, from each class's own threshold on, sorted; may be empty.
        confidence: calibrated probability that the set is right, or an estimate of it, in [0, 1].
        uncertainty: reduced over the classes, in [0, 1].
        probabilities: calibrated probability by class, each on its own.
    """

    labels: tuple[str, ...]
    confidence: float
    uncertainty: float
    probabilities: dict[str, float] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The labels, joined."""
        return "\0".join(self.labels)

    def shown(self, labels: Collection[str], threshold: float) -> Self | None:
        """The classes that exist and are probable enough; None when there are none."""
        sure = [one for one in self.labels if one in labels and self.probabilities.get(one, 1.0) >= threshold]
        return _with(self, "labels", self.labels, sure) if sure else None


@dataclass(frozen=True, slots=True)
class BoxesPrediction:
    """The boxes in an image.

    Attributes:
        boxes: each with its score; may be empty.
        confidence: mean score of the boxes, and how sure the model is that there is nothing where it finds none.
        uncertainty: reduced over the boxes and over what is nearly a box, in [0, 1].
        height: of the image in pixels, as it is shown.
        width: of the image in pixels, as it is shown.
    """

    boxes: tuple[Box, ...]
    confidence: float
    uncertainty: float
    height: int
    width: int

    @property
    def summary(self) -> str:
        """The boxes, without their scores."""
        return repr([replace(box, score=1.0) for box in self.boxes])

    def shown(self, labels: Collection[str], threshold: float) -> Self | None:
        """The boxes of classes that exist that are sure enough, at most `MOST_SHOWN`; None when there are none."""
        return _sure(self, "boxes", self.boxes, labels, threshold)


@dataclass(frozen=True, slots=True)
class MasksPrediction:
    """The areas of an image: at most one of each class.

    Attributes:
        masks: each with its score; may be empty.
        confidence: mean confidence of the pixels.
        uncertainty: reduced over the pixels, in [0, 1], whatever the image's size.
    """

    masks: tuple[Mask, ...]
    confidence: float
    uncertainty: float

    @property
    def summary(self) -> str:
        """The areas, without their scores."""
        return repr([replace(mask, score=1.0) for mask in self.masks])

    def shown(self, labels: Collection[str], threshold: float) -> Self | None:
        """The areas of classes that exist that are sure enough, at most `MOST_SHOWN`; None when there are none."""
        return _sure(self, "masks", self.masks, labels, threshold)


@dataclass(frozen=True, slots=True)
class SpansPrediction:
    """The stretches of a text.

    Attributes:
        spans: each with its score; may be empty.
        confidence: mean confidence of the tokens.
        uncertainty: reduced over the tokens, in [0, 1], whatever the text's length.
    """

    spans: tuple[Span, ...]
    confidence: float
    uncertainty: float

    @property
    def summary(self) -> str:
        """The spans, without their scores."""
        return repr([replace(span, score=1.0) for span in self.spans])

    def shown(self, labels: Collection[str], threshold: float) -> Self | None:
        """The spans of classes that exist that are sure enough, at most `MOST_SHOWN`; None when there are none."""
        return _sure(self, "spans", self.spans, labels, threshold)


@dataclass(frozen=True, slots=True)
class AttributesPrediction:
    """What is to be said of the regions of an item, as a model found them.

    Attributes:
        attributes: one for each region that was asked about; none where there is no region.
        confidence: mean of what is said, each region counting by how sure it is itself; 1 where there is none.
        uncertainty: the mean over the regions likewise, in [0, 1]; 0 where there is none.
    """

    attributes: tuple[Attribute[Prediction], ...]
    confidence: float
    uncertainty: float

    @property
    def summary(self) -> str:
        """What is said of what, without scores."""
        return repr([(replace(one.part, score=1.0), one.said.summary) for one in self.attributes])

    def shown(self, labels: Collection[str], threshold: float) -> Self | None:
        """What there is to see of what is said of each; None when there is nothing."""
        seen = [(one.part, one.said.shown(labels, threshold)) for one in self.attributes]
        kept = tuple(Attribute(part, said) for part, said in seen if said is not None)
        return replace(self, attributes=kept) if kept else None


@dataclass(frozen=True, slots=True)
class TextPrediction:
    """A text in answer to the item.

    Attributes:
        text: it; may be empty.
        confidence: calibrated estimate of its quality, in [0, 1].
        uncertainty: in [0, 1], whatever the text's length.
    """

    text: str
    confidence: float
    uncertainty: float

    @property
    def summary(self) -> str:
        """The text."""
        return self.text

    def shown(self, labels: Collection[str], threshold: float) -> Self | None:
        """Itself, when there is a text and it is confident enough."""
        return self if self.text and self.confidence >= threshold else None


P = TypeVar("P", bound=Any)


def _sure(
    prediction: P, name: str, regions: tuple[Box | Mask | Span, ...], labels: Collection[str], threshold: float
) -> P | None:
    sure = [region for region in regions if region.label in labels and region.score >= threshold]
    if len(sure) > MOST_SHOWN:
        surest = sorted(range(len(sure)), key=lambda place: -sure[place].score)[:MOST_SHOWN]
        sure = [sure[place] for place in sorted(surest)]
    return _with(prediction, name, regions, sure) if sure else None


def _with(prediction: P, name: str, before: Collection[object], left: Collection[object]) -> P:
    changed: P = prediction if len(left) == len(before) else replace(prediction, **{name: tuple(left)})
    return changed

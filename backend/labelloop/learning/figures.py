"""How good a model is whose answers are more than one class: boxes, areas, spans, sets, texts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from labelloop.learning.evaluation import Metrics, Source
from labelloop.learning.intervals import Interval


@dataclass(frozen=True, slots=True)
class Figures:
    """What a model reached on items it was not trained on.

    Attributes:
        items: how many.
        name: what `value` is, as the field calls it: mAP50, mean IoU, entity F1, chrF.
        value: the figure to go by, in [0, 1]; more is better.
        source: the items were a holdout, or each was predicted by a model of a cross-validation that had not seen it.
        interval: 95 % interval of the value; None where it is not known.
        others: further figures by name.
        per_class: figures by name, by class.
    """

    items: int
    name: str
    value: float
    source: Source = "holdout"
    interval: Interval | None = None
    others: dict[str, float] = field(default_factory=dict)
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON values, for a manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Figures":
        """Read what `to_json` wrote."""
        interval = Interval(**value["interval"]) if value.get("interval") else None
        return cls(**{**value, "interval": interval})


Measured = Metrics | Figures


def believed(holdout: Measured | None, cross_validation: Measured | None, minimum: int) -> Measured | None:
    """The metrics to go by: the holdout's once it has `minimum` items, until then the cross-validated ones where there are any."""
    if holdout is not None and holdout.items >= minimum:
        return holdout
    return cross_validation or holdout

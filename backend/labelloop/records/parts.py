"""The parts of an item that a target or a prediction tells apart."""

from labelloop.records.predictions import BoxesPrediction, MasksPrediction, Prediction, SpansPrediction
from labelloop.records.regions import Part
from labelloop.records.targets import AttributesTarget, BoxesTarget, MasksTarget, SpansTarget, Target


def parts_of(said: Target | Prediction | None) -> tuple[Part, ...]:
    """Its boxes, areas or spans, or those of which something is said; none where it has none of these."""
    if isinstance(said, BoxesTarget | BoxesPrediction):
        return said.boxes
    if isinstance(said, MasksTarget | MasksPrediction):
        return said.masks
    if isinstance(said, SpansTarget | SpansPrediction):
        return said.spans
    return tuple(one.part for one in said.attributes) if isinstance(said, AttributesTarget) else ()

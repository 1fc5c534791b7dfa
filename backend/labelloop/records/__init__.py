"""Plain records that pass between the rooms: what is to be learnt, from what, and what a model says of it.

`labelstudio` turns Label Studio's JSON into these and back; `learning` knows nothing else of Label Studio.
"""

from labelloop.records.controls import Control, Kind, Modality
from labelloop.records.lookup import value_of
from labelloop.records.masks import Mask
from labelloop.records.parts import parts_of
from labelloop.records.predictions import (
    MOST_SHOWN,
    AttributesPrediction,
    BoxesPrediction,
    ClassPrediction,
    MasksPrediction,
    Prediction,
    SetPrediction,
    SpansPrediction,
    TextPrediction,
)
from labelloop.records.regions import Attribute, Box, Part, Span
from labelloop.records.targets import (
    AttributesTarget,
    BoxesTarget,
    ClassTarget,
    MasksTarget,
    SetTarget,
    SpansTarget,
    Target,
    TextTarget,
    strata,
)

__all__ = [
    "MOST_SHOWN",
    "Attribute",
    "AttributesPrediction",
    "AttributesTarget",
    "Box",
    "BoxesPrediction",
    "BoxesTarget",
    "ClassPrediction",
    "ClassTarget",
    "Control",
    "Kind",
    "Mask",
    "MasksPrediction",
    "MasksTarget",
    "Modality",
    "Part",
    "Prediction",
    "SetPrediction",
    "SetTarget",
    "Span",
    "SpansPrediction",
    "SpansTarget",
    "Target",
    "TextPrediction",
    "TextTarget",
    "parts_of",
    "strata",
    "value_of",
]

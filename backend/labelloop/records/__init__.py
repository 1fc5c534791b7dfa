"""Plain records that pass between the rooms: what is to be learnt, from what, and what a model says of it.

`labelstudio` turns Label Studio's JSON into these and back; `learning` knows nothing else of Label Studio.
"""

from labelloop.records.controls import Control, Kind, Modality
from labelloop.records.masks import Mask
from labelloop.records.predictions import (
    BoxesPrediction,
    ClassPrediction,
    MasksPrediction,
    Prediction,
    SetPrediction,
    SpansPrediction,
    TextPrediction,
)
from labelloop.records.regions import Box, Span
from labelloop.records.targets import (
    BoxesTarget,
    ClassTarget,
    MasksTarget,
    SetTarget,
    SpansTarget,
    Target,
    TextTarget,
    stratum,
)

__all__ = [
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
    "Prediction",
    "SetPrediction",
    "SetTarget",
    "Span",
    "SpansPrediction",
    "SpansTarget",
    "Target",
    "TextPrediction",
    "TextTarget",
    "stratum",
]

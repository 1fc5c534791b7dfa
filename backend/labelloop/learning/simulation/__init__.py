"""The simulator: replays a labelled data set as if annotators answered, with the classes that the service runs."""

from labelloop.learning.simulation.comparing import (
    Curve,
    Saving,
    balance_of,
    class_shares,
    curve_of,
    labels_to_reach,
    saved_error,
    savings_of,
    summary_of,
)
from labelloop.learning.simulation.data import LabelledData, Split, split_data
from labelloop.learning.simulation.plan import AS_LABELLED, BASELINE, DOUBLING, Judging, Plan
from labelloop.learning.simulation.playing import Simulation
from labelloop.learning.simulation.results import Cell, Round

__all__ = [
    "AS_LABELLED",
    "BASELINE",
    "DOUBLING",
    "Cell",
    "Curve",
    "Judging",
    "LabelledData",
    "Plan",
    "Round",
    "Saving",
    "Simulation",
    "Split",
    "balance_of",
    "class_shares",
    "curve_of",
    "labels_to_reach",
    "saved_error",
    "savings_of",
    "split_data",
    "summary_of",
]

"""The learning room: arrays in, arrays out; it knows nothing of Label Studio, HTTP or Redis.

Importing it is cheap; scikit-learn, scipy and torch are loaded by the functions that need them.
"""

from typing import Final

from labelloop.learning.classification import ClassificationLearner
from labelloop.learning.evaluation import ClassMetrics, Metrics
from labelloop.learning.gate import GateDecision, judge
from labelloop.learning.holdout import assign_holdout
from labelloop.learning.uncertainty import MEASURES, measure_named

# The learner of each control tag.
LEARNERS: Final[dict[str, type[ClassificationLearner]]] = {"Choices": ClassificationLearner}

__all__ = [
    "LEARNERS",
    "MEASURES",
    "ClassMetrics",
    "ClassificationLearner",
    "GateDecision",
    "Metrics",
    "assign_holdout",
    "judge",
    "measure_named",
]

"""The learning room: arrays in, arrays out; it knows nothing of Label Studio, its HTTP or Redis.

Importing it is cheap; scikit-learn, scipy and torch are loaded by the functions that need them.
"""

from typing import Final

from labelloop.learning.acquisition import (
    STRATEGIES,
    Need,
    Pool,
    Strategy,
    rank_scores,
    scores_along,
    skill,
    strategy_for,
    strategy_named,
)
from labelloop.learning.attributes import AskedItems, AttributesLearner
from labelloop.learning.backbones import (
    JOINT,
    Backbone,
    BackboneSpec,
    Dense,
    DenseBackbone,
    Parts,
    ResolvedBackbone,
    load_backbone,
    resolve_backbone,
)
from labelloop.learning.boxes import BoxesLearner, DetectedBoxesLearner, detected_labels
from labelloop.learning.calibrating import Reliability
from labelloop.learning.choice import Choice
from labelloop.learning.classification import ClassificationLearner
from labelloop.learning.ensembles import COMBINATIONS
from labelloop.learning.evaluation import ClassMetrics, Metrics
from labelloop.learning.figures import Figures, Measured, believed
from labelloop.learning.gate import GateDecision, judge, judge_quality
from labelloop.learning.holdout import assign_holdout, judged_keys
from labelloop.learning.learner import Classifier, Learner, Reads, Training, TrainingOptions
from labelloop.learning.logistic import preload
from labelloop.learning.masks import MasksLearner
from labelloop.learning.ratings import RatingLearner
from labelloop.learning.recipes import RECIPES, SEMI_SUPERVISED
from labelloop.learning.sets import SetLearner
from labelloop.learning.spans import SpanLearner
from labelloop.learning.translation import GeneratedTextLearner, TextLearner
from labelloop.learning.uncertainty import MEASURES, measure_named
from labelloop.records import Kind

# The quick learner of each kind of control.
LEARNERS: Final[dict[Kind, type[Learner]]] = {
    Kind.CLASS: ClassificationLearner,
    Kind.RATING: RatingLearner,
    Kind.SET: SetLearner,
    Kind.BOXES: BoxesLearner,
    Kind.TEXT: TextLearner,
    Kind.SPANS: SpanLearner,
    Kind.MASKS: MasksLearner,
    Kind.ATTRIBUTES: AttributesLearner,
}
# Those that judge what a network answers by itself, where its features are its output.
OUTPUT_LEARNERS: Final[dict[Kind, type[Learner]]] = {
    Kind.BOXES: DetectedBoxesLearner,
    Kind.TEXT: GeneratedTextLearner,
}


def learner_of(kind: Kind, parts: Parts) -> type[Learner]:
    """The learner of a kind of control on a backbone that gives features of these parts."""
    return OUTPUT_LEARNERS[kind] if parts is Parts.OUTPUT else LEARNERS[kind]


__all__ = [
    "COMBINATIONS",
    "JOINT",
    "LEARNERS",
    "MEASURES",
    "OUTPUT_LEARNERS",
    "RECIPES",
    "SEMI_SUPERVISED",
    "STRATEGIES",
    "AskedItems",
    "AttributesLearner",
    "Backbone",
    "BackboneSpec",
    "BoxesLearner",
    "Choice",
    "ClassMetrics",
    "ClassificationLearner",
    "Classifier",
    "Dense",
    "DenseBackbone",
    "DetectedBoxesLearner",
    "Figures",
    "GateDecision",
    "GeneratedTextLearner",
    "Learner",
    "MasksLearner",
    "Measured",
    "Metrics",
    "Need",
    "Parts",
    "Pool",
    "Reads",
    "Reliability",
    "ResolvedBackbone",
    "Strategy",
    "TextLearner",
    "Training",
    "TrainingOptions",
    "assign_holdout",
    "believed",
    "detected_labels",
    "judge",
    "judge_quality",
    "judged_keys",
    "learner_of",
    "load_backbone",
    "measure_named",
    "preload",
    "rank_scores",
    "resolve_backbone",
    "scores_along",
    "skill",
    "strategy_for",
    "strategy_named",
]

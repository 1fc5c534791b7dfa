"""Boxes in images: an anchor-free head on cached maps, or what a detector finds; its scores, and how it is judged."""

from labelloop.learning.boxes.detected import DetectedBoxesLearner
from labelloop.learning.boxes.learner import BoxesLearner
from labelloop.learning.boxes.naming import detected_labels, known_labels

__all__ = ["BoxesLearner", "DetectedBoxesLearner", "detected_labels", "known_labels"]

"""Boxes in images: an anchor-free head on cached maps, its scores, and how it is judged."""

from labelloop.learning.boxes.learner import BoxesLearner

__all__ = ["BoxesLearner"]

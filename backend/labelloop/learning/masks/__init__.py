"""Areas in images: a small head on cached maps that says of each place what it is, and how it is judged."""

from labelloop.learning.masks.learner import MasksLearner

__all__ = ["MasksLearner"]

"""Texts in answer to items: translations and other text-to-text, captions; remembered from what people wrote, or generated."""

from labelloop.learning.translation.generated import GeneratedTextLearner
from labelloop.learning.translation.learner import TextLearner

__all__ = ["GeneratedTextLearner", "TextLearner"]

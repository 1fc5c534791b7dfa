"""Spans: learning to mark stretches of texts as people do."""

from labelloop.learning.spans.learner import SpanLearner

__all__ = ["SpanLearner"]

"""What is asked about regions that have a class already: a head on what a backbone says of each region, and how it is judged."""

from labelloop.learning.attributes.asking import Asked, AskedItems
from labelloop.learning.attributes.learner import AttributesLearner

__all__ = ["Asked", "AskedItems", "AttributesLearner"]

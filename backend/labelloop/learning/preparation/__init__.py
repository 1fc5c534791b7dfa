"""Data preparation: what is wrong with labelled items, found and counted before anything is trained on them."""

from labelloop.learning.preparation.checks import (
    disagreeing,
    duplicate_groups,
    empty_items,
    impossible_labels,
    leaking,
    majority_labels,
    repeated,
)
from labelloop.learning.preparation.examination import Examination, examine
from labelloop.learning.preparation.findings import Finding, FindingKind
from labelloop.learning.preparation.near_duplicates import near_duplicate_groups

__all__ = [
    "Examination",
    "Finding",
    "FindingKind",
    "disagreeing",
    "duplicate_groups",
    "empty_items",
    "examine",
    "impossible_labels",
    "leaking",
    "majority_labels",
    "near_duplicate_groups",
    "repeated",
]

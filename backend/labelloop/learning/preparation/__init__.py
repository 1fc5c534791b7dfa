"""Data preparation: what is wrong with labelled items, found and counted before anything is trained on them."""

from labelloop.learning.preparation.near_duplicates import NEAR, near_duplicate_groups

__all__ = ["NEAR", "near_duplicate_groups"]

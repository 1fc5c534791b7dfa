"""Gradient-boosted trees, trained by scikit-learn and kept as the plain arrays of their nodes."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np

from labelloop.learning.arrays import Array, Floats
from labelloop.learning.heads.base import Head, Lesson, Recipe
from labelloop.learning.logistic import few_a_class

DEPTH: Final = 3
RATE: Final = 0.2
# Every round grows a tree a class, so many classes get fewer rounds: what answers 1,000 rows in some 10 ms.
TREES: Final = 400
ROUNDS: Final = (5, 50)
AT_ONCE: Final = 256


class TreesHead:
    """Logits are the prior's plus the sum of the leaves that a row falls into.

    Args:
        nodes: by name: `column` int32, `threshold` float32, `left` and `right` int32, `value` float32, each [T, N], of T
            trees of at most N nodes. A leaf's children are itself.
        classes: int32 [T], the class that each tree speaks of.
        prior: float32 [C].
    """

    kind: ClassVar[str] = "trees"

    def __init__(self, nodes: Mapping[str, Array], classes: Array, prior: Array) -> None:
        self._nodes = dict(nodes)
        self._classes = classes
        self._prior = prior

    def logits(self, rows: Floats) -> Floats:
        """Logits [m, C] of rows [m, d]; NaN where a row is not finite."""
        speaks = (self._classes[:, None] == np.arange(self._prior.size)).astype(np.float32)
        logits = np.empty((len(rows), self._prior.size), dtype=np.float32)
        for start in range(0, len(rows), AT_ONCE):
            logits[start : start + AT_ONCE] = self._leaves(rows[start : start + AT_ONCE]) @ speaks + self._prior
        logits[~np.isfinite(rows).all(axis=1)] = np.nan
        return logits

    def _leaves(self, rows: Floats) -> Floats:
        """The value [m, T] of the leaf that each row falls into."""
        flat = {name: values.ravel() for name, values in self._nodes.items()}
        trees, size = self._nodes["column"].shape
        first = np.arange(trees) * size
        at = np.broadcast_to(first, (len(rows), trees))
        row = np.arange(len(rows))[:, None]
        for _ in range(DEPTH):
            goes_left = rows[row, flat["column"][at]] <= flat["threshold"][at]
            at = first + np.where(goes_left, flat["left"][at], flat["right"][at])
        leaves: Floats = flat["value"][at]
        return leaves

    def arrays(self) -> dict[str, Array]:
        """The nodes, the trees' classes and the prior."""
        return {**self._nodes, "tree_classes": self._classes, "prior": self._prior}

    def meta(self) -> dict[str, Any]:
        """Nothing beside the arrays."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Self:
        """Restore what `arrays` gave."""
        nodes = {name: arrays[name] for name in ("column", "threshold", "left", "right", "value")}
        return cls(nodes, arrays["tree_classes"], arrays["prior"])


class Boosting(Recipe):
    """Gradient boosting of shallow trees (Friedman, 2001), each on a random part of the columns and of the rows."""

    name = "boosting"

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Train with as many rounds as the number of classes allows."""
        from sklearn.ensemble import GradientBoostingClassifier

        trees_a_round = lesson.classes if lesson.classes > 2 else 1
        rounds = int(np.clip(TREES // trees_a_round, *ROUNDS))
        model: Any = GradientBoostingClassifier(
            n_estimators=rounds,
            learning_rate=RATE,
            max_depth=DEPTH,
            max_features="sqrt",
            subsample=0.8,
            random_state=seed,
        )
        with few_a_class():
            model.fit(lesson.rows, lesson.targets, sample_weight=lesson.weights)
        return _as_arrays(model, lesson)


def _as_arrays(model: Any, lesson: Lesson) -> TreesHead:
    trees = [(column, estimator.tree_) for round_ in model.estimators_ for column, estimator in enumerate(round_)]
    nodes = _empty_nodes(len(trees), max(tree.node_count for _, tree in trees))
    for place, (_, tree) in enumerate(trees):
        leaf = tree.children_left < 0
        own = np.arange(tree.node_count)
        nodes["column"][place, own] = np.where(leaf, 0, tree.feature)
        # scikit-learn compares float32 columns with a float64 threshold; the largest float32 not above it splits the same.
        nodes["threshold"][place, own] = _not_above(tree.threshold)
        nodes["left"][place, own] = np.where(leaf, own, tree.children_left)
        nodes["right"][place, own] = np.where(leaf, own, tree.children_right)
        nodes["value"][place, own] = RATE * tree.value[:, 0, 0]
    shares = np.bincount(lesson.targets, weights=lesson.weights)
    prior = np.log(shares / shares.sum()).astype(np.float32)
    classes = np.array([column for column, _ in trees], dtype=np.int32)
    if lesson.classes == 2:  # one tree a round speaks for the second class; the prior's difference is its log odds
        classes = np.ones_like(classes)
    return TreesHead(nodes, classes, prior)


def _empty_nodes(trees: int, size: int) -> dict[str, Array]:
    whole = {name: np.zeros((trees, size), dtype=np.int32) for name in ("column", "left", "right")}
    return {**whole, **{name: np.zeros((trees, size), dtype=np.float32) for name in ("threshold", "value")}}


def _not_above(values: Array) -> Array:
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)

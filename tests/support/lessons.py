"""Small made lessons for heads."""

import numpy as np
from sklearn.datasets import load_digits

from labelloop.learning.folds import FOLDS
from labelloop.learning.heads import Lesson
from labelloop.learning.logistic import assign_folds
from labelloop.learning.scaling import centre_of, unit_rows


def lesson_of(features: np.ndarray, targets: np.ndarray, pool: np.ndarray | None = None) -> Lesson:
    """A lesson on rows that are centred and scaled as the learner does it."""
    centre = centre_of(features)
    return Lesson(
        rows=unit_rows(features, centre),
        targets=targets,
        weights=np.ones(len(targets)),
        folds=assign_folds(targets, FOLDS, 0),
        pool=unit_rows(features[:0] if pool is None else pool, centre),
    )


def digits_lesson(labels: int, pool: int = 0, classes: int = 10) -> tuple[Lesson, np.ndarray, np.ndarray]:
    """Some digits, some without their label, and rows and targets of the rest."""
    features, targets = digits(classes)
    lesson = lesson_of(features[:labels], targets[:labels], features[labels : labels + pool])
    rest = unit_rows(features[labels + pool :], centre_of(features[:labels]))
    return lesson, rest, targets[labels + pool :]


def digits(classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Digits of the first classes in an order that mixes the hands."""
    data = load_digits()
    shuffled = np.random.default_rng(0).permutation(len(data.target))
    shuffled = shuffled[data.target[shuffled] < classes]
    return data.data[shuffled].astype(np.float32), data.target[shuffled]


def crossed_blobs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose classes a plane parts cleanly, through the middle of every cluster: neighbours do not share a label.

    Eight clusters lie far apart in ten columns; the class is the sign of an eleventh, in which rows differ little.
    """
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(8, 10)) * 3
    cluster = generator.integers(0, 8, count)
    side = generator.choice([-1.0, 1.0], count)
    shared = centres[cluster] + generator.normal(size=(count, 10))
    return np.column_stack([shared, side + 0.2 * generator.normal(size=count)]).astype(np.float32), (side > 0).astype(
        int
    )

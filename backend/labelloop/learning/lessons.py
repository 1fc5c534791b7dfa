"""From features and targets to what heads are trained and judged on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.candidates import fold_rows, sampled_pool, worth_trying
from labelloop.learning.contest import Unseen
from labelloop.learning.heads import Lesson
from labelloop.learning.scaling import centre_of, unit_rows
from labelloop.records import ClassTarget


@dataclass(frozen=True, slots=True)
class Items:
    """Labelled items that can be learnt from.

    Attributes:
        rows: float32 [n, d], centred, of length 1.
        columns: int [n], the place of each row's class among those seen.
        weights: float64 [n].
        seen: int64 [C], the numbers of the classes that have a label.
        centre: float32 [d], what was taken off the features.
        blocks: how many columns are of each backbone; empty: all are of one.
        groups: int [n], the number of each row's group of near-duplicates; None: there are none.
    """

    rows: Floats
    columns: Ints
    weights: Floats
    seen: Ints
    centre: Floats
    blocks: tuple[int, ...]
    groups: Ints | None = None

    def scaled(self, features: Floats, what: str) -> Floats:
        """Other features [m, d], scaled like the rows.

        Raises:
            LearningError: they are not as long as the rows.
        """
        if features.ndim != 2 or features.shape[1] != self.centre.size:
            raise LearningError(
                f"{what} of shape {features.shape} does not go with rows of {self.centre.size} features."
            )
        return scaled_rows(features, self.centre, self.blocks)


def prepare(
    features: Floats,
    targets: Sequence[ClassTarget],
    classes: Sequence[str],
    blocks: Sequence[int],
    groups: Ints | None = None,
) -> Items:
    """The items that can be learnt from; arguments as in `ClassificationLearner.fit`.

    Raises:
        NotEnoughLabels: fewer than two classes have a usable label.
        LearningError: the arrays do not go together.
    """
    kept, labels, weights = usable(features, targets, classes)
    rows = features[kept]
    seen, columns = np.unique(labels, return_inverse=True)
    if seen.size < 2:
        raise NotEnoughLabels(
            f"A model needs labels of two classes; the {labels.size} so far are of {seen.size}. "
            "Label an item of another class."
        )
    check_blocks(blocks, rows)
    centre = centre_of(rows)
    return Items(
        scaled_rows(rows, centre, blocks),
        columns,
        weights,
        seen.astype(np.int64),
        centre,
        tuple(blocks),
        None if groups is None else groups[kept],
    )


def make_lesson(items: Items, unlabelled: Floats | None, seed: int) -> tuple[Lesson, str]:
    """The lesson, and why nothing is to be learnt from the pool; empty: its rows are in the lesson.

    Args:
        items: what is labelled.
        unlabelled: [m, d], features of the pool; None: there is none.
        seed: decides the folds.

    Raises:
        LearningError: the pool's features are not as long as the rows.
    """
    classes = items.seen.size
    folds, run = fold_rows(items.columns, seed, items.groups)
    pool = items.rows[:0]
    if unlabelled is not None and len(unlabelled):
        pool = items.scaled(sampled_pool(unlabelled, classes, seed), "A pool")
    skipped = worth_trying(items.columns.size, classes, len(pool))
    return Lesson(items.rows, items.columns, items.weights, folds, run, pool[:0] if skipped else pool), skipped


def prepare_unseen(
    items: Items, holdout: tuple[Floats, Sequence[ClassTarget]] | None, classes: Sequence[str]
) -> Unseen:
    """The holdout as heads see it, less the items whose class has no label in training: every head is wrong there.

    Raises:
        LearningError: its features are not as long as the rows, or not as many as its targets.
    """
    if holdout is None:
        return Unseen(items.rows[:0], items.columns[:0])
    kept, labels, _ = usable(*holdout, classes)
    rows, known = holdout[0][kept], np.isin(labels, items.seen)
    return Unseen(items.scaled(rows[known], "A holdout"), np.searchsorted(items.seen, labels[known]))


def usable(features: Floats, targets: Sequence[ClassTarget], classes: Sequence[str]) -> tuple[Bools, Ints, Floats]:
    """Which of n items can be learnt from, bool [n]: finite, and of a class there is; class numbers and weights of those.

    Raises:
        LearningError: there are not as many targets as rows.
    """
    if len(features) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for {len(features)} rows of features.")
    place = {label: number for number, label in enumerate(classes)}
    labels = np.array([place.get(target.label, -1) for target in targets], dtype=np.int64)
    weights = np.array([target.weight for target in targets], dtype=np.float64)
    kept: Bools = (labels >= 0) & np.isfinite(features).all(axis=1)
    return kept, labels[kept], weights[kept]


def check_blocks(blocks: Sequence[int], rows: Floats) -> None:
    """See that the columns of the backbones make up the rows.

    Raises:
        LearningError: they do not.
    """
    if blocks and sum(blocks) != rows.shape[1]:
        raise LearningError(f"Backbones of {sum(blocks)} columns do not go with rows of {rows.shape[1]}.")


def scaled_rows(features: Floats, centre: Floats, blocks: Sequence[int] = ()) -> Floats:
    """Features [n, d] minus `centre` [d], float32, each backbone's part of a row scaled to the same length, the row to 1."""
    if len(blocks) < 2:
        return unit_rows(features, centre)
    ends = np.cumsum(blocks)[:-1]
    parts = zip(np.split(features, ends, axis=1), np.split(centre, ends), strict=True)
    return np.concatenate([unit_rows(part, middle) for part, middle in parts], axis=1) / np.float32(
        np.sqrt(len(blocks))
    )


def read_rows(features: Floats, centre: Floats, blocks: Sequence[int]) -> Floats:
    """Features [n, d] that a model is asked about, scaled like those it was trained on.

    Raises:
        LearningError: a row is not finite, or not as long as those the model was trained on.
    """
    if features.ndim != 2 or features.shape[1] != centre.size:
        raise LearningError(
            f"The model reads rows of {centre.size} features, not an array of shape {features.shape}; "
            "were they made by another backbone?"
        )
    rows = scaled_rows(features, centre, blocks)
    if not np.isfinite(rows).all():
        raise LearningError("Features that are not finite cannot be predicted; leave those items out.")
    return rows

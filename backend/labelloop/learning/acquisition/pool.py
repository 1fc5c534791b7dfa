"""What a strategy chooses from: the pool, and the view of it that every strategy gets."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.scaling import centre_of, unit_rows
from labelloop.learning.uncertainty import measure_named

# All pairs of this many rows take 64 MB, some work on them twice that, and about a second. A random sample of that size
# stands for any larger pool; the rest follows in random order, far behind the first labels a representative order is for.
SAMPLE: Final = 4096


def _no_rows() -> Floats:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Pool:
    """The items to choose from, and what is known of them.

    Attributes:
        features: [n, d].
        uncertainty: [n] in [0, 1] of the model that orders the queue; None: it follows from `probabilities`.
        labelled: [m, d], features of the items that have a label; empty: none has.
        probabilities: [n, C], calibrated; None: there is no model to trust yet.
        members: [k, n, C], what each member of an ensemble, or each pass with dropout, says; None: there are none.
        labels: int [m], the class of each labelled item, -1 where it is none of the C; None: not told, or items do not have
            one class.
        classes: how many classes there are; 0: not told.
        skill: how much of what guessing the commonest class gets wrong the model is estimated to get right, in [0, 1], on
            items it was not trained on (see `auto.skill`); None: not known.
        batch: about how many items people label before the next order.
        remembered: the model answers an item with the label of the nearest labelled one.
    """

    features: Floats
    uncertainty: Floats | None = None
    labelled: Floats = field(default_factory=_no_rows)
    probabilities: Floats | None = None
    members: Floats | None = None
    labels: Ints | None = None
    classes: int = 0
    skill: float | None = None
    batch: int = 100
    remembered: bool = False

    def __post_init__(self) -> None:
        rows = len(self.features)
        if self.features.ndim != 2 or self.labelled.ndim != 2:
            raise LearningError("A pool's features are rows: two-dimensional arrays.")
        if self.uncertainty is not None and self.uncertainty.shape != (rows,):
            raise LearningError(f"A pool of {rows} items needs as many uncertainties, not {self.uncertainty.shape}.")
        if len(self.labelled) and self.labelled.shape[1] != self.features.shape[1]:
            raise LearningError(
                f"Labelled features of {self.labelled.shape[1]} columns do not go with a pool of {self.features.shape[1]}."
            )
        self._check_predictions()
        if self.batch < 1:
            raise LearningError(f"A batch holds at least one item, not {self.batch}.")

    def _check_predictions(self) -> None:
        rows, labelled = len(self.features), len(self.labelled)
        if self.probabilities is not None and (self.probabilities.ndim != 2 or len(self.probabilities) != rows):
            raise LearningError(f"A pool of {rows} items needs probabilities [n, C], not {self.probabilities.shape}.")
        if self.members is not None and (self.members.ndim != 3 or self.members.shape[1] != rows):
            raise LearningError(f"A pool of {rows} items needs members [k, n, C], not {self.members.shape}.")
        if self.labels is not None and self.labels.shape != (labelled,):
            raise LearningError(f"{labelled} labelled items need as many labels, not {self.labels.shape}.")

    def __len__(self) -> int:
        return len(self.features)


class View:
    """The rows of a pool that can be ordered, shuffled, with their numbers made fit for use.

    Args:
        pool: what they are rows of.
        rows: row numbers [n], at least one, all of finite features.
        generator: for what is drawn.
        centre: what to subtract from features; None: the centre of the rows.

    Attributes:
        pool: what it is a view of.
        generator: for what is drawn.
    """

    def __init__(self, pool: Pool, rows: Ints, generator: np.random.Generator, centre: Floats | None = None) -> None:
        self.pool = pool
        self.generator = generator
        self._rows = rows
        self._given_centre = centre

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, places: Ints) -> "View":
        """A view of some of the rows, on the same scale."""
        return View(self.pool, self._rows[places], self.generator, self._centre)

    def sample(self) -> "View":
        """A view of a random sample that stands for all: the first rows, for they are shuffled."""
        return self.take(np.arange(min(len(self), SAMPLE)))

    @property
    def front(self) -> int:
        """How many rows to choose with care; people label some more than a batch before the next order arrives."""
        return min(len(self), 2 * self.pool.batch)

    @property
    def classes(self) -> int:
        """How many classes there are; 0 when nobody has said."""
        known = 0 if self.pool.probabilities is None else self.pool.probabilities.shape[1]
        return self.pool.classes or known

    @cached_property
    def features(self) -> Floats:
        """float32 [n, d], centred, of length 1."""
        return unit_rows(self.pool.features[self._rows], self._centre)

    @cached_property
    def labelled(self) -> Floats:
        """float32 [m, d], at most `SAMPLE` labelled rows, on the same scale."""
        known = self.pool.labelled[np.asarray(np.isfinite(self.pool.labelled).all(axis=1))]
        if len(known) > SAMPLE:
            known = known[self.generator.permutation(len(known))[:SAMPLE]]
        return unit_rows(known, self._centre) if len(known) else np.zeros((0, self._centre.size), dtype=np.float32)

    @cached_property
    def probabilities(self) -> Floats:
        """float64 [n, C]; a row that is not finite says all classes are as probable.

        Raises:
            LearningError: the pool has none.
        """
        if self.pool.probabilities is None or self.pool.probabilities.shape[1] == 0:
            raise LearningError("The pool has no class probabilities; train a model first.")
        given = np.asarray(self.pool.probabilities[self._rows], dtype=np.float64)
        finite = np.asarray(np.isfinite(given).all(axis=1))
        return np.where(finite[:, None], np.clip(given, 0, 1), 1 / given.shape[1])

    @property
    def members(self) -> Floats:
        """[k, n, C].

        Raises:
            LearningError: the pool has none.
        """
        if self.pool.members is None:
            raise LearningError("The pool has no members; train an ensemble first.")
        return self.pool.members[:, self._rows]

    def doubt(self, measure: str) -> Floats:
        """float64 [n] in [0, 1]: the pool's uncertainty, or that measure of its probabilities; what is not finite counts as 1."""
        if self.pool.uncertainty is None:
            return measure_named(measure)(self.probabilities)
        given = np.asarray(self.pool.uncertainty[self._rows], dtype=np.float64)
        return np.clip(np.nan_to_num(given, nan=1.0, posinf=1.0, neginf=1.0), 0, 1)

    @cached_property
    def _centre(self) -> Floats:
        if self._given_centre is not None:
            return self._given_centre
        return centre_of(self.pool.features[self._rows[:SAMPLE]])

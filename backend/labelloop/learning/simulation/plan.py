"""What is to be simulated: which strategies, how many labels, in which rounds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from labelloop.errors import LearningError
from labelloop.learning.acquisition import Need, strategy_named
from labelloop.learning.learner import TrainingOptions
from labelloop.learning.recipes import ensemble_of, methods_named
from labelloop.learning.uncertainty import measure_named

BASELINE: Final = "random"
DOUBLING: Final = 0
AS_LABELLED: Final = "as_labelled"
"""Beside the strategies: the order in which people labelled the data, where that is known."""

# What of a learner's options the result of a cell depends on.
_LEARNER: Final = ("uncertainty", "semi_supervised", "ensemble", "combination", "blocks")


@dataclass(frozen=True, slots=True)
class Judging:
    """How candidates are judged, as the service's settings say it.

    Attributes:
        share: share of the labels bought that is held out of training, in [0, 1].
        start: labels below which none is.
        minimum: held-out labels below which the gate does not refuse.
        tolerance: accuracy a candidate may lose, in [0, 1].
    """

    share: float = 0.1
    start: int = 40
    minimum: int = 20
    tolerance: float = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """One simulation.

    Attributes:
        strategies: names, `AS_LABELLED` among them; the baseline is always simulated too.
        budget: labels bought in all, the start included.
        start: labels bought in the first round.
        batch: labels bought in each later one; `DOUBLING`: as many as there are already.
        seeds: how often each strategy is played.
        cold_strategy: orders for a strategy that needs a model, while there is none, and what `auto` begins with.
        labels_per_class: labels per class from which `auto` trusts a model.
        balance: share of the places given to the class with the fewest labels, in [0, 1].
        apart: items nearer than this to a labelled one go last, in [0, 2]; 0: none does.
        learner: how a learner is trained; the play's seed takes the place of its own.
        finish: a semi-supervised method tried once at the end, behind the gate; empty: none.
        test: share of the items that only measure, or their number where above 1; for a given test set of no meaning.
        validation: labelled items beside the budget that the gate judges on; 0: a share of the labels bought.
        judging: how the gate judges.
    """

    strategies: tuple[str, ...]
    budget: int
    start: int
    batch: int = DOUBLING
    seeds: int = 1
    cold_strategy: str = "coverage"
    labels_per_class: int = 4
    balance: float = 0.0
    apart: float = 0.0
    learner: TrainingOptions = field(default_factory=lambda: TrainingOptions(semi_supervised="none"))
    finish: str = ""
    test: float = 0.25
    validation: int = 0
    judging: Judging = field(default_factory=Judging)

    def __post_init__(self) -> None:
        self._require_names()
        self._require(1 <= self.start <= self.budget, f"a start of {self.start} labels is not within the budget")
        self._require(self.batch >= DOUBLING, f"a round buys at least one label, not {self.batch}")
        self._require(self.seeds >= 1, f"at least one seed is needed, not {self.seeds}")
        self._require(0 < self.test < math.inf, f"a test share or number is above 0, not {self.test:g}")
        whole = self.test < 1 or float(self.test).is_integer()
        self._require(whole, f"a number of test items is a whole one, not {self.test:g}")
        self._require(self.validation >= 0, f"a number of validation items is at least 0, not {self.validation}")

    @property
    def played(self) -> tuple[str, ...]:
        """Every strategy once, the baseline first."""
        return tuple(dict.fromkeys((BASELINE, *self.strategies)))

    @property
    def cells(self) -> tuple[tuple[str, int], ...]:
        """What is played: (strategy, seed), all strategies of one seed together."""
        return tuple((name, seed) for seed in range(self.seeds) for name in self.played)

    def rounds(self) -> Iterator[int]:
        """Labels after each round, the last being the budget."""
        labels = self.start
        while labels < self.budget:
            yield labels
            labels += labels if self.batch == DOUBLING else self.batch
        yield self.budget

    def cell_facts(self) -> dict[str, Any]:
        """What the result of a cell depends on, as JSON values: all but which cells there are."""
        facts = {
            name: getattr(self, name) for name in ("budget", "start", "batch", "cold_strategy", "labels_per_class")
        }
        facts |= {name: getattr(self, name) for name in ("balance", "apart", "finish", "test", "validation")}
        judging = [self.judging.share, self.judging.start, self.judging.minimum, self.judging.tolerance]
        return facts | {"judging": judging, "learner": {name: getattr(self.learner, name) for name in _LEARNER}}

    def require_history(self, known: bool) -> None:
        """Refuse to play the order people labelled in where it is not known.

        Raises:
            LearningError: it is asked for and not known.
        """
        if AS_LABELLED in self.strategies and not known:
            raise LearningError(
                f"{AS_LABELLED!r} needs data that tells when each item was labelled, as an export does."
            )

    def _require_names(self) -> None:
        for name in self.strategies:
            if name != AS_LABELLED:
                strategy_named(name)
        need = strategy_named(self.cold_strategy).need
        if need is not Need.NOTHING:
            raise LearningError(
                f"The cold strategy {self.cold_strategy!r} orders before there is {need.value}, and needs it."
            )
        measure_named(self.learner.uncertainty)
        for method in (self.learner.semi_supervised, self.finish or "none"):
            methods_named(method)
        if self.learner.ensemble:
            ensemble_of(self.learner.ensemble, self.learner.combination)

    def _require(self, holds: bool, fault: str) -> None:
        if not holds:
            raise LearningError(f"The plan cannot be played: {fault} ({self.budget:,} labels in all).")

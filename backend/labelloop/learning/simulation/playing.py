"""Plays annotators: buys labels round by round, and trains, judges and measures as the service does."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.acquisition import Bald, Pool, skill, strategy_for
from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.classification import ClassificationLearner
from labelloop.learning.evaluation import Metrics, measure
from labelloop.learning.figures import believed
from labelloop.learning.gate import GateDecision, judge
from labelloop.learning.holdout import assign_holdout
from labelloop.learning.learner import Training, TrainingOptions
from labelloop.learning.simulation.data import LabelledData, Split, counts_of, split_data
from labelloop.learning.simulation.plan import AS_LABELLED, Plan
from labelloop.learning.simulation.results import Cell, Round
from labelloop.learning.uncertainty import MEASURES
from labelloop.records import ClassTarget

OnRound = Callable[[int], None]
NO_MODEL: Final = "No model yet: the labels are of one class."


@dataclass(slots=True)
class _Play:
    """Where one cell stands."""

    split: Split
    options: TrainingOptions
    bought: list[int] = field(default_factory=list)
    live: ClassificationLearner | None = None
    skill: float | None = None
    sides: dict[str, bool] = field(default_factory=dict)


class Simulation:
    """Replays a labelled data set as if annotators answered.

    Args:
        data: the items with the answers.
        plan: what is played.

    Attributes:
        tested: how many items measure, by seed.

    Raises:
        LearningError: the data is too small for the plan, or does not tell the order in which it was labelled.
    """

    def __init__(self, data: LabelledData, plan: Plan) -> None:
        self.data = data
        self.plan = plan
        plan.require_history(data.history is not None)
        self._targets = [ClassTarget(label) for label in data.labels]
        # Near-duplicates are placed together, so no two seeds need leave as many items in the pool.
        splits = [self._split(seed) for seed in range(plan.seeds)]
        for split in splits:
            self._require_enough(split)
        self.tested = tuple(split.test.size for split in splits)

    def play(self, strategy: str, seed: int, on_round: OnRound | None = None) -> Cell:
        """Play one strategy under one seed; the same of both give the same result.

        Args:
            strategy: its name.
            seed: of the split, the draws and the folds.
            on_round: told the labels bought so far, after each round.
        """
        play = _Play(self._split(seed), self._options(strategy, seed))
        rounds = []
        for labels in self.plan.rounds():
            order, chosen = self._choose(play, strategy, labels - len(play.bought), seed)
            play.bought += chosen
            decision, method = self._train(play, play.options)
            rounds.append(self._record(play, order, chosen, decision, method))
            if on_round is not None:
                on_round(labels)
        return Cell(strategy, seed, tuple(rounds), self._finish(play) if self.plan.finish else None)

    def _finish(self, play: _Play) -> Round:
        decision, method = self._train(play, replace(play.options, semi_supervised=self.plan.finish))
        return self._record(play, self.plan.finish, [], decision, method)

    def _split(self, seed: int) -> Split:
        return split_data(self.data, test=self.plan.test, validation=self.plan.validation, seed=seed)

    def _require_enough(self, split: Split) -> None:
        if self.plan.budget > split.pool.size:
            raise LearningError(
                f"The budget of {self.plan.budget:,} labels is larger than the pool of {split.pool.size:,} items that are "
                f"left beside {split.test.size:,} to test on and {split.validation.size:,} for validation; ask for less."
            )
        if not split.test.size:
            raise LearningError(
                f"No item of {len(self.data.labels):,} in {len(self.data.classes):,} classes is left to test on; "
                "give more data or a larger test share."
            )

    def _options(self, strategy: str, seed: int) -> TrainingOptions:
        """The plan's, with the uncertainty that the strategy is named for, as the service has it."""
        measure = strategy if strategy in MEASURES else self.plan.learner.uncertainty
        return replace(self.plan.learner, uncertainty=measure, seed=seed)

    def _choose(self, play: _Play, name: str, count: int, seed: int) -> tuple[str, list[int]]:
        """Who chose, and the rows of the next labels to buy."""
        rows = np.setdiff1d(play.split.pool, play.bought)
        if name == AS_LABELLED and self.data.history is not None:
            return name, rows[np.argsort(self.data.history[rows], kind="stable")[:count]].tolist()
        pool = self._pool(play, rows, count)
        if name == Bald.name and play.live is not None:
            pool = replace(pool, members=play.live.members(pool.features, seed))
        strategy = strategy_for(pool, name, self.plan.cold_strategy, self.plan.labels_per_class)
        draw = seed * 1_000_003 + len(play.bought)
        order = strategy.order(pool, draw, balance=self.plan.balance, apart=self.plan.apart)
        return strategy.name, rows[order[:count]].tolist()

    def _pool(self, play: _Play, rows: Ints, batch: int) -> Pool:
        """The items left, as strategies see them."""
        features, labelled = self.data.features[rows], self.data.features[play.bought]
        return Pool(
            features,
            labelled=labelled,
            probabilities=None if play.live is None else play.live.probabilities(features),
            labels=np.array([self.data.classes.index(self.data.labels[row]) for row in play.bought], dtype=np.int64),
            classes=len(self.data.classes),
            skill=play.skill,
            batch=max(batch, 1),
        )

    def _train(self, play: _Play, options: TrainingOptions) -> tuple[GateDecision, str]:
        """Train a candidate on the labels bought and let it go live if the gate says so; and which head it has."""
        judged, trained = self._sides(play)
        rest = np.setdiff1d(play.split.pool, play.bought)
        unseen = (self.data.features[judged], [self._targets[row] for row in judged])
        try:
            candidate = ClassificationLearner.train(
                Training(
                    self.data.features[trained],
                    [self._targets[row] for row in trained],
                    self.data.classes,
                    unlabelled=self.data.features[rest],
                    holdout=unseen if judged.size >= self.plan.judging.minimum else None,
                    options=options,
                    groups=self.data.groups[trained],
                )
            )
        except NotEnoughLabels:
            return GateDecision(False, NO_MODEL), ""
        decision = judge(
            self._correct(candidate, judged),
            None if play.live is None else self._correct(play.live, judged),
            minimum=self.plan.judging.minimum,
            tolerance=self.plan.judging.tolerance,
            labels=[self.data.labels[row] for row in judged],
            classes=self.data.classes,
        )
        if decision.accepted:
            play.live, play.skill = candidate, self._skill(candidate, judged)
        return decision, candidate.choice.method if candidate.choice else ""

    def _skill(self, learner: ClassificationLearner, judged: Ints) -> float | None:
        """What the learner is known to be able to, as the service estimates it."""
        targets = [self._targets[row] for row in judged]
        holdout = learner.evaluate(self.data.features[judged], targets) if targets else None
        metrics = believed(holdout, learner.cv_metrics, self.plan.judging.minimum)
        return skill(metrics) if metrics is not None else None

    def _sides(self, play: _Play) -> tuple[Ints, Ints]:
        """The rows to judge on, and those to train on."""
        bought = np.array(play.bought, dtype=np.int64)
        if play.split.validation.size:
            return play.split.validation, bought
        names = [self.data.keys[group] for group in self.data.groups[bought].tolist()]
        labels: dict[str, str] = {}
        for name, row in zip(names, play.bought, strict=True):
            labels.setdefault(name, self.data.labels[row])
        judging = self.plan.judging
        play.sides = assign_holdout(labels, play.sides, judging.share if len(bought) >= judging.start else 0.0)
        held = np.array([play.sides[name] for name in names], dtype=bool)
        return bought[held], bought[~held]

    def _correct(self, learner: ClassificationLearner, rows: Ints) -> Bools:
        best = learner.probabilities(self.data.features[rows]).argmax(axis=1)
        said = [self.data.classes[column] == self.data.labels[row] for column, row in zip(best, rows, strict=True)]
        return np.array(said, dtype=bool)

    def _record(self, play: _Play, order: str, chosen: list[int], decision: GateDecision, method: str) -> Round:
        counts = counts_of([self.data.labels[row] for row in play.bought], self.data.classes)
        metrics = self._measure(play, counts)
        return Round(
            labels=len(play.bought),
            order=order,
            bought=tuple(self.data.keys[row] for row in chosen),
            counts=tuple(counts),
            accuracy=metrics.accuracy,
            macro_f1=metrics.macro_f1,
            ece=metrics.ece,
            log_loss=metrics.log_loss,
            published=decision.accepted,
            reason=decision.reason,
            method=method,
        )

    def _measure(self, play: _Play, counts: list[int]) -> Metrics:
        test = play.split.test
        if play.live is not None:
            return play.live.evaluate(self.data.features[test], [self._targets[row] for row in test])
        shares: Floats = np.tile(np.array(counts) / sum(counts), (test.size, 1))
        return measure(shares, [self.data.labels[row] for row in test], self.data.classes)

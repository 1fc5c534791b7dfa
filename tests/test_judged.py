"""What the validation items say of an epoch: how good a network is once it is calibrated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from labelloop.learning.tuning import TuneOptions
from labelloop.learning.tuning.conduct import BY_ITSELF
from labelloop.learning.tuning.judged import TEMPERATURES, Judged, at_temperatures
from labelloop.learning.tuning.trainer import Trainer

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

RIGHT = torch.tensor([0, 1, 0, 1])
"""What is right of four items."""


def judged(logits: Any, right: Any = RIGHT) -> Judged:
    losses = at_temperatures(logits, lambda said: functional.cross_entropy(said, right, reduction="sum"))
    return Judged(losses, float((logits.argmax(dim=1) == right).sum()), float(len(logits)))


def test_a_network_that_is_only_too_sure_of_itself_is_as_good_as_one_that_is_not() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.5, 0.0]])

    modest, sure = judged(logits), judged(4 * logits)

    assert sure.loss == pytest.approx(modest.loss, rel=0.02)
    assert functional.cross_entropy(4 * logits, RIGHT) > 1.3 * functional.cross_entropy(logits, RIGHT)
    assert modest.accuracy == sure.accuracy == 0.75


def test_one_temperature_suits_all_parts_together() -> None:
    logits = torch.tensor([[9.0, 0.0], [0.0, 0.3], [0.2, 0.0], [3.0, 0.0]])
    first, second = judged(logits[:2], RIGHT[:2]), judged(logits[2:], RIGHT[2:])
    whole = judged(logits)

    assert (Judged.nothing() + first + second).losses == pytest.approx(whole.losses)
    assert (first + second).loss == pytest.approx(whole.loss)
    assert whole.loss > (first.loss + second.loss) / 2, "each by itself would take a temperature of its own"
    assert (first + second).accuracy == 0.75


def test_nothing_judged_is_neither_right_nor_an_error() -> None:
    assert Judged.nothing().loss == Judged.nothing().accuracy == 0.0


@dataclass
class Told:
    """A network that is wrong about two items, then about one, and grows surer by an epoch's factor."""

    sure: Sequence[float]
    per_epoch: int = 1
    judged: Any = field(default_factory=lambda: torch.nn.Linear(1, 1))
    epoch: int = 0

    def step(self, number: int, steps: int) -> None:
        self.epoch += 1

    def logits(self) -> Any:
        third = [0.0, 0.5] if self.epoch < 2 else [2.0, 0.0]
        logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], third, [0.5, 0.0]])
        return self.sure[self.epoch] * logits

    def judge(self, items: Any, rows: Sequence[int]) -> Judged:
        return judged(self.logits())

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}

    def restore(self, parts: Mapping[str, Any], scaler: Mapping[str, Any]) -> None:
        raise NotImplementedError


def test_an_epoch_that_answers_better_wins_however_sure_it_is() -> None:
    @dataclass
    class Four:
        targets: Sequence[int] = (0, 1, 0, 1)

    steps = Told(sure=(1.0, 2.0, 12.0))
    options = TuneOptions(epochs=2, at_once=4, patience=5)
    trainer = Trainer(steps, Four(), options, BY_ITSELF, "", None)

    assert trainer.run() == "all epochs"
    assert trainer.standing.best == 2
    assert [note.accuracy for note in trainer.standing.epochs] == [0.5, 0.5, 0.75]
    assert functional.cross_entropy(steps.logits(), RIGHT) > 1.2, "by its log loss alone it would be the worst"


def test_temperatures_reach_from_too_modest_to_far_too_sure() -> None:
    assert TEMPERATURES.min() < 1 < TEMPERATURES.max()
    assert np.abs(TEMPERATURES - 1).min() < 1e-9

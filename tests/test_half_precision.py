"""Fine-tuning in half precision: which one a device gets, and that gradients and weights stay whole."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from labelloop.learning.tuning.gradient_steps import GradientSteps, half_precision, plain_groups  # noqa: E402
from labelloop.learning.tuning.options import TuneOptions  # noqa: E402


class _Steps(GradientSteps):
    """A linear layer that learns to answer with one, and notes in what precision it answers."""

    def __init__(self, half: Any) -> None:
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(8, 1)
        options = TuneOptions(batch=4, at_once=2, warm_up_epochs=0)
        super().__init__(self.layer, plain_groups(self.layer, 0.1, 0.0), 8, options, half)
        self.inputs = torch.randn(8, 8)
        self.precisions: set[Any] = set()

    def judge(self, items: Any, rows: Any) -> Any:
        raise NotImplementedError

    def total(self, rows: Any) -> float:
        return float(len(rows))

    def loss(self, rows: list[int]) -> Any:
        said = self.layer(self.inputs[rows])
        self.precisions.add(said.dtype)
        return ((said.float() - 1) ** 2).sum()


def _error(steps: _Steps) -> float:
    return float(((steps.layer(steps.inputs) - 1) ** 2).mean().detach())


@pytest.mark.parametrize("half", [None, torch.bfloat16])
def test_a_network_learns_in_the_precision_asked_for_on_weights_of_full_precision(half: Any) -> None:
    steps = _Steps(half)
    before = _error(steps)
    for number in range(10):
        steps.step(number, 10)

    assert steps.precisions == {half or torch.float32}
    assert {parameter.dtype for parameter in steps.layer.parameters()} == {torch.float32}
    assert _error(steps) < before / 2


@pytest.mark.parametrize(
    ("kind", "generation", "float16", "half"),
    [
        ("cpu", 0, True, None),
        ("cuda", 9, True, torch.bfloat16),
        ("cuda", 7, True, torch.float16),
        ("cuda", 7, False, None),
    ],
)
def test_each_device_gets_the_precision_it_has_in_silicon(
    monkeypatch: pytest.MonkeyPatch, kind: str, generation: int, float16: bool, half: Any
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (generation, 0))
    assert half_precision(torch.device(kind), float16=float16) is half

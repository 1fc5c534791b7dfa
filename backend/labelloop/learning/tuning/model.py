"""The network that is fine-tuned: a backbone and a head on its features, as heads see them elsewhere."""

from collections.abc import Callable
from typing import Any, Final

import torch
from torch.nn import functional

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.torch_running import keep_statistics
from labelloop.learning.scaling import centre_of, unit_rows
from labelloop.learning.tuning.criteria import Criterion
from labelloop.learning.tuning.options import TuneOptions

Losses = Callable[[torch.Tensor], torch.Tensor]
"""The loss of each row, by its logits."""

# Inverse strength of the first head's penalty, for rows of length 1, and steps of its solver.
FIRST_HEAD: Final = 10.0
FIRST_HEAD_STEPS: Final = 100
# Depths told apart; each has a learning rate of its own.
DEPTHS: Final = 8


class Model(torch.nn.Module):
    """A backbone, and a linear head on its features: centred where they were at first, and of length 1.

    So what is trained here pulls features apart in the very geometry in which a logistic head will read them.

    Args:
        network: gives features [n, dim].
        dim: length of a feature row.
        classes: how many.
    """

    centre: torch.Tensor

    def __init__(self, network: Any, dim: int, classes: int) -> None:
        super().__init__()
        self.network = network
        self.head = torch.nn.Linear(dim, classes)
        self.register_buffer("centre", torch.zeros(dim))

    def forward(self, batch: Any) -> torch.Tensor:
        """Logits float32 [n, classes]."""
        return self.answer(self.network(batch).float())

    def answer(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of features [n, dim]."""
        # Under autocast, too: steps of a hundredth between answers would drown what an epoch gains.
        with torch.autocast(features.device.type, enabled=False):
            logits: torch.Tensor = self.head(functional.normalize(features - self.centre, dim=1))
        return logits

    def train(self, mode: bool = True) -> "Model":
        """Learn, or answer; the running statistics of batch normalisation stay as they were in pretraining either way."""
        super().train(mode)
        keep_statistics(self)
        return self


def start_head(
    model: Model, features: Floats, targets: torch.Tensor, weights: torch.Tensor, criterion: Criterion
) -> None:
    """Fit the head to features [n, dim] of the backbone as it is, before the two learn together.

    From a head of random numbers the first gradients would distort good features (Kumar et al., 2022).
    """
    centre = centre_of(features)
    model.centre.copy_(torch.from_numpy(centre))
    rows, targets = torch.from_numpy(unit_rows(features, centre)), targets.cpu()
    fit_head(model.head, rows, weights, lambda logits: criterion.losses(logits, targets))


def fit_head(head: torch.nn.Linear, rows: torch.Tensor, weights: torch.Tensor, losses: Losses) -> None:
    """Fit a linear head to rows [n, d] of length 1 or about that, with weights [n], by the losses [n] of its logits."""
    device, weights = head.weight.device, weights.cpu()
    weight = torch.zeros(head.out_features, rows.shape[1], requires_grad=True)
    bias = torch.zeros(head.out_features, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=FIRST_HEAD_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = FIRST_HEAD * (weights * losses(rows @ weight.T + bias)).sum() + weight.square().sum() / 2
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.copy_(weight.to(device))
        head.bias.copy_(bias.to(device))


def parameter_groups(network: Any, head: Any, options: TuneOptions) -> list[dict[str, Any]]:
    """The optimiser's groups: the deeper a network's layer, the faster it learns (Howard and Ruder, 2018), its head fastest.

    Returns:
        Groups with `params`, `weight_decay` and `rate`, the highest learning rate of each.
    """
    groups: dict[tuple[float, bool], list[Any]] = {}
    for depth, parameter in _by_depth(network):
        rate = options.backbone_rate * options.first_layer_share ** (1 - depth)
        groups.setdefault((rate, parameter.ndim > 1), []).append(parameter)
    for parameter in head.parameters():
        groups.setdefault((options.head_rate, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": parameters, "rate": rate, "weight_decay": options.weight_decay if decays else 0.0}
        for (rate, decays), parameters in groups.items()
    ]


def _by_depth(network: Any) -> list[tuple[float, Any]]:
    """Each parameter with its depth in [0, 1]; networks list their layers from the input on."""
    named = [(name.rpartition(".")[0], p) for name, p in network.named_parameters() if p.requires_grad]
    layers = list(dict.fromkeys(layer for layer, _ in named))
    last = max(len(layers) - 1, 1)
    depth = {layer: round(place / last * (DEPTHS - 1)) / (DEPTHS - 1) for place, layer in enumerate(layers)}
    return [(depth[layer], parameter) for layer, parameter in named]

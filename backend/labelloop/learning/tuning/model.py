"""The network that is fine-tuned: a backbone and a head on its features, as heads see them elsewhere."""

from typing import Any, Final

import torch
from torch.nn import functional

from labelloop.learning.arrays import Floats
from labelloop.learning.scaling import centre_of, unit_rows

# Inverse strength of the first head's penalty, for rows of length 1, and steps of its solver.
FIRST_HEAD: Final = 10.0
FIRST_HEAD_STEPS: Final = 100
# Depths told apart; each has a learning rate of its own.
DEPTHS: Final = 8

_NORMALISED: Final = (torch.nn.modules.batchnorm._BatchNorm,)


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
        logits: torch.Tensor = self.head(functional.normalize(features - self.centre, dim=1))
        return logits

    def train(self, mode: bool = True) -> "Model":
        """Learn, or answer; the running statistics of batch normalisation stay as they were in pretraining either way.

        Of batches as small as these they would be noise, and gradients accumulated over parts of a batch would not be
        those of the whole. Scale and shift are learnt.
        """
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _NORMALISED):
                module.eval()
        return self


def start_head(model: Model, features: Floats, targets: torch.Tensor, weights: torch.Tensor) -> None:
    """Fit the head to features [n, dim] of the backbone as it is, before the two learn together.

    From a head of random numbers the first gradients would distort good features (Kumar et al., 2022).
    """
    centre = centre_of(features)
    model.centre.copy_(torch.from_numpy(centre))
    fit_head(model.head, torch.from_numpy(unit_rows(features, centre)), targets, weights)


def fit_head(head: torch.nn.Linear, rows: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> None:
    """Fit a linear head to rows [n, d] of length 1 or about that, with class numbers int64 [n] and weights [n]."""
    device, targets, weights = head.weight.device, targets.cpu(), weights.cpu()
    weight = torch.zeros(head.out_features, rows.shape[1], requires_grad=True)
    bias = torch.zeros(head.out_features, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=FIRST_HEAD_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        each = functional.cross_entropy(rows @ weight.T + bias, targets, reduction="none")
        value = FIRST_HEAD * (weights * each).sum() + weight.square().sum() / 2
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.copy_(weight.to(device))
        head.bias.copy_(bias.to(device))


def parameter_groups(
    model: Any, *, head_rate: float, backbone_rate: float, first_layer_share: float, weight_decay: float
) -> list[dict[str, Any]]:
    """The optimiser's groups: the deeper a layer, the faster it learns (Howard and Ruder, 2018), the head fastest.

    Args:
        model: a module with a `network`, and a linear `head` on what it says.
        head_rate: highest learning rate of the head.
        backbone_rate: of the network's last layer.
        first_layer_share: the first layer's rate as a share of that.
        weight_decay: of everything but biases and normalisations.

    Returns:
        Groups with `params`, `weight_decay` and `rate`, the highest learning rate of each.
    """
    groups: dict[tuple[float, bool], list[Any]] = {}
    for depth, parameter in _by_depth(model.network):
        rate = backbone_rate * first_layer_share ** (1 - depth)
        groups.setdefault((rate, parameter.ndim > 1), []).append(parameter)
    groups.setdefault((head_rate, True), []).append(model.head.weight)
    groups.setdefault((head_rate, False), []).append(model.head.bias)
    return [
        {"params": parameters, "rate": rate, "weight_decay": weight_decay if decays else 0.0}
        for (rate, decays), parameters in groups.items()
    ]


def _by_depth(network: Any) -> list[tuple[float, Any]]:
    """Each parameter with its depth in [0, 1]; networks list their layers from the input on."""
    named = [(name.rpartition(".")[0], p) for name, p in network.named_parameters() if p.requires_grad]
    layers = list(dict.fromkeys(layer for layer, _ in named))
    last = max(len(layers) - 1, 1)
    depth = {layer: round(place / last * (DEPTHS - 1)) / (DEPTHS - 1) for place, layer in enumerate(layers)}
    return [(depth[layer], parameter) for layer, parameter in named]

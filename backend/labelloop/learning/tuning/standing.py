"""How far a fine-tuning is, and what of it a checkpoint holds."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from labelloop.learning.tuning.judged import Judged
from labelloop.learning.tuning.records import EpochNote

Tensors = dict[str, torch.Tensor]


@dataclass(slots=True)
class Standing:
    """How far it is.

    Attributes:
        planned: epochs to do; fewer than asked for where the budget will not reach.
        step: steps done.
        epochs: looks at the validation items so far; the first before any step.
        best: the epoch of the lowest loss.
        seconds: wall-clock time spent so far.
        looked: steps done at the last look.
        seen: validation items seen in the look under way.
        found: what was found in those.
    """

    planned: int
    step: int = 0
    epochs: list[EpochNote] = field(default_factory=list)
    best: int = 0
    seconds: float = 0.0
    looked: int = 0
    seen: int = 0
    found: Judged = field(default_factory=Judged.nothing)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        found = (self.found.losses.tolist(), self.found.right, self.found.weight)
        return asdict(self) | {"found": found}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Standing":
        """What `to_json` gave."""
        losses, right, weight = value["found"]
        epochs = [EpochNote(**note) for note in value["epochs"]]
        return cls(**dict(value) | {"epochs": epochs, "found": Judged(np.array(losses), right, weight)})


def joined(parts: Mapping[str, Mapping[str, torch.Tensor]]) -> Tensors:
    """The tensors of several parts under one name each: part, slash, name."""
    return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def parted(tensors: Mapping[str, torch.Tensor]) -> dict[str, Tensors]:
    """What `joined` joined."""
    parts: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = tensor
    return parts


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> Tensors:
    """What an optimiser remembers of each parameter."""
    return joined({str(number): state for number, state in optimiser.state_dict()["state"].items()})


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Let an optimiser of the same parameters remember that."""
    state = {int(number): remembered for number, remembered in parted(tensors).items()}
    groups = copy.deepcopy(optimiser.state_dict()["param_groups"])
    optimiser.load_state_dict({"state": state, "param_groups": groups})

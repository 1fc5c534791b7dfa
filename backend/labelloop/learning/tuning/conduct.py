"""How a fine-tuning gets on with what goes on around it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from labelloop.learning.tuning.checkpoints import Keeper


def _never() -> bool:
    return False


def _untold(done: int, planned: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class Conduct:
    """What a fine-tuning gives way to, and where its checkpoint is kept.

    Attributes:
        keeper: keeps a checkpoint, from which the same call goes on. It is left there at the end, too; clearing it is the
            caller's, once the result is safe. None: none is made.
        give_way: asked after each step; True: make a checkpoint and come back with nothing.
        on_progress: told of steps done and planned.
    """

    keeper: Keeper | None = None
    give_way: Callable[[], bool] = _never
    on_progress: Callable[[int, int], None] = _untold


BY_ITSELF: Final = Conduct()
"""With nothing to give way to, and no checkpoint."""

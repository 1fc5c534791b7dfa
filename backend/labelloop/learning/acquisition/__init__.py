"""Query strategies: which item of the pool teaches most."""

from typing import Final

from labelloop.errors import LearningError
from labelloop.learning.acquisition.base import Pool, Strategy, rank_scores
from labelloop.learning.acquisition.coverage import Coverage
from labelloop.learning.acquisition.ranked import Entropy, LeastConfidence, Margin, Random
from labelloop.learning.acquisition.typiclust import TypiClust

STRATEGIES: Final[dict[str, Strategy]] = {
    strategy.name: strategy for strategy in (Random(), Margin(), LeastConfidence(), Entropy(), Coverage(), TypiClust())
}

__all__ = ["STRATEGIES", "Pool", "Strategy", "rank_scores", "strategy_named"]


def strategy_named(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        LearningError: there is none of that name.
    """
    try:
        return STRATEGIES[name]
    except KeyError:
        raise LearningError(f"No strategy is called {name!r}; there are {', '.join(sorted(STRATEGIES))}.") from None

"""Query strategies: which item of the pool teaches most."""

from typing import Final

from labelloop.errors import LearningError
from labelloop.learning.acquisition.auto import Auto, skill
from labelloop.learning.acquisition.base import Need, Strategy, rank_scores, scores_along
from labelloop.learning.acquisition.coverage import Coverage, MaxHerding
from labelloop.learning.acquisition.diverse import Clue, CoreSet, DiverseMargin, Falcun
from labelloop.learning.acquisition.gradients import Badge
from labelloop.learning.acquisition.pool import Pool
from labelloop.learning.acquisition.probcover import ProbCover
from labelloop.learning.acquisition.ranked import Bald, Entropy, LeastConfidence, Margin, Random
from labelloop.learning.acquisition.typiclust import TypiClust

_ALL: Final = (
    Auto(),
    Random(),
    # Without a model
    Coverage(),
    MaxHerding(),
    TypiClust(),
    ProbCover(),
    CoreSet(),
    # With one
    DiverseMargin(),
    Clue(),
    Badge(),
    Falcun(),
    Margin(),
    LeastConfidence(),
    Entropy(),
    Bald(),
)
STRATEGIES: Final[dict[str, Strategy]] = {strategy.name: strategy for strategy in _ALL}

__all__ = ["STRATEGIES", "Auto", "Need", "Pool", "Strategy", "rank_scores", "scores_along", "skill", "strategy_named"]


def strategy_named(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        LearningError: there is none of that name.
    """
    try:
        return STRATEGIES[name]
    except KeyError:
        raise LearningError(f"No strategy is called {name!r}; there are {', '.join(sorted(STRATEGIES))}.") from None

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

__all__ = [
    "STRATEGIES",
    "Bald",
    "Need",
    "Pool",
    "Strategy",
    "rank_scores",
    "scores_along",
    "skill",
    "strategy_for",
    "strategy_named",
]


def strategy_named(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        LearningError: there is none of that name.
    """
    try:
        return STRATEGIES[name]
    except KeyError:
        raise LearningError(f"No strategy is called {name!r}; there are {', '.join(sorted(STRATEGIES))}.") from None


def strategy_for(pool: Pool, name: str, cold: str, labels_per_class: int) -> Strategy:
    """The strategy of that name, or what is nearest to it of what the pool allows.

    Without a model it is the cold one. With one that knows its doubts but no class probabilities, as where an item may have
    several classes, or no members, it is `auto`, which goes by the doubts alone.

    Args:
        pool: what is to be ordered.
        name: the strategy wanted.
        cold: the name of the one that orders without a model, and that `auto` begins with.
        labels_per_class: from which `auto` trusts a model.

    Raises:
        LearningError: there is none of such a name.
    """
    start = strategy_named(cold)
    auto = Auto(start, labels_per_class)
    wanted = auto if name == Auto.name else strategy_named(name)
    if wanted.need.met_by(pool):
        return wanted
    return auto if Need.UNCERTAINTY.met_by(pool) else start

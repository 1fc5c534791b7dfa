"""What a person wants simulated: the command line over a recipe over the service's settings."""

import tomllib
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from labelloop.errors import SettingsError
from labelloop.learning.learner import TrainingOptions
from labelloop.learning.simulation import AS_LABELLED, DOUBLING, Judging, Plan
from labelloop.settings import Settings

LABELS_PER_CLASS = 30
START_PER_CLASS = 2
SEEDS = 3
TEST_SHARE = 0.25
DOUBLE = "double"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was said of a simulation, on the command line or in a recipe; None or empty: nothing.

    Attributes:
        strategies: names of strategies.
        budget: labels in all.
        start: labels of the first round.
        batch: labels of each later round, or `double`.
        seeds: how often each strategy is played.
        backbone: name of the backbone.
        cold_strategy: orders while there is no model.
        semi_supervised: method of every round's learner.
        ensemble: members of every round's learner.
        finish: semi-supervised method of a last candidate.
        test: share of the items to measure on, or their number.
        validation: number of items to judge candidates on.
    """

    strategies: tuple[str, ...] = ()
    budget: int | None = None
    start: int | None = None
    batch: int | str | None = None
    seeds: int | None = None
    backbone: str | None = None
    cold_strategy: str | None = None
    semi_supervised: str | None = None
    ensemble: tuple[str, ...] = ()
    finish: str | None = None
    test: float | None = None
    validation: int | None = None

    def over(self, other: "Wanted") -> "Wanted":
        """This, and where it says nothing, the other."""
        said = {name: value for name, value in asdict(self).items() if value is not None and value != ()}
        return Wanted(**(asdict(other) | said))


def read_recipe(name: str) -> Wanted:
    """A recipe by the name of one that ships with Labelloop, or by its path.

    Raises:
        SettingsError: there is none, or it says what no recipe can.
    """
    shipped = files("labelloop.cli") / "recipes"
    path = Path(name).expanduser()
    if not path.is_file():
        there = sorted(file.name.removesuffix(".toml") for file in shipped.iterdir() if file.name.endswith(".toml"))
        if name not in there:
            raise SettingsError(f"There is no recipe {name!r}; name a TOML file or one of {', '.join(there)}.")
    file = path if path.is_file() else shipped / f"{name}.toml"
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The recipe {name} is not TOML: {error}.") from None
    return _wanted(name, said)


def _wanted(name: str, said: dict[str, Any]) -> Wanted:
    kinds = {field.name: _kinds(field.name) for field in fields(Wanted)}
    for key, value in said.items():
        if key not in kinds:
            raise SettingsError(f"The recipe {name} says {key!r}, which means nothing; it may say {', '.join(kinds)}.")
        names = value if isinstance(value, list) else ()
        if not isinstance(value, kinds[key]) or isinstance(value, bool) or not all(isinstance(n, str) for n in names):
            raise SettingsError(f"The recipe {name} has {value!r} for {key!r}, which is of the wrong kind.")
    whole: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
    return Wanted(**whole)


def _kinds(name: str) -> tuple[type, ...]:
    if name in ("strategies", "ensemble"):
        return (list,)
    if name in ("budget", "start", "seeds", "validation"):
        return (int,)
    return {"batch": (int, str), "test": (int, float)}.get(name, (str,))


def plan_of(
    wanted: Wanted,
    settings: Settings,
    items: int,
    classes: int,
    *,
    history: bool = False,
    tested: int = 0,
    blocks: tuple[int, ...] = (),
) -> Plan:
    """The plan that is wanted of a data set.

    Args:
        wanted: what was said.
        settings: the service's, which fill in what was not.
        items: how many items there are.
        classes: how many classes.
        history: it is known in which order they were labelled, which then is played too.
        tested: how many of the items are of a test set of their own.
        blocks: how many columns of the features are of each backbone, where several are joined.

    Raises:
        LearningError: a name in it is not known, its numbers contradict each other, or `as_labelled` is without a history.
        SettingsError: the budget is larger than the data, or the batch is neither a number nor `double`.
    """
    validation = wanted.validation or 0
    usual = min(LABELS_PER_CLASS * classes, (items - tested - validation) // 2)
    budget = wanted.budget if wanted.budget is not None else max(usual, 1)
    if budget > items:
        raise SettingsError(
            f"The budget of {budget:,} labels is larger than the data, which has {items:,} items; ask for less."
        )
    start = wanted.start if wanted.start is not None else min(START_PER_CLASS * classes, budget)
    plan = Plan(
        strategies=(wanted.strategies or (settings.strategy,)) + ((AS_LABELLED,) if history else ()),
        budget=budget,
        start=start,
        batch=_batch(wanted.batch, max(1, (budget - start) // 10)),
        seeds=SEEDS if wanted.seeds is None else wanted.seeds,
        cold_strategy=wanted.cold_strategy or settings.cold_strategy,
        labels_per_class=settings.cold_labels_per_class,
        balance=settings.balance,
        apart=settings.apart,
        learner=TrainingOptions(
            semi_supervised=wanted.semi_supervised or settings.semi_supervised,
            ensemble=wanted.ensemble or tuple(settings.ensemble),
            combination=settings.ensemble_combination,
            blocks=blocks,
        ),
        finish=wanted.finish or "",
        test=TEST_SHARE if wanted.test is None else wanted.test,
        validation=validation,
        judging=Judging(settings.holdout_share, settings.holdout_from, settings.holdout_min, settings.gate_tolerance),
    )
    plan.require_history(history)
    return plan


def _batch(said: int | str | None, usual: int) -> int:
    if said is None:
        return usual
    if said == DOUBLE:
        return DOUBLING
    if not str(said).isdecimal() or int(said) < 1:
        raise SettingsError(f"A batch is a number of labels above 0 or {DOUBLE!r}, not {said!r}.")
    return int(said)

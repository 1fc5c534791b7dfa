"""Other libraries' strategies through their own interfaces, with a logistic head where one is needed: scikit-activeml's here."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import other_peers

ACTIVEML = ("TypiClust", "ProbCover", "MaxHerding", "UncertaintySampling", "Clue", "Badge", "Falcun")
PEERS = (*ACTIVEML, *other_peers.OTHERS)
WITHOUT_A_HEAD = ("TypiClust", "ProbCover", "MaxHerding")
# Badge makes a matrix of rows x classes * columns; beyond this many numbers it does not fit beside the rest.
LARGEST_MATRIX = 10**8


def fits(name: str, rows: NDArray[Any], classes: int) -> bool:
    """Whether the peer can be asked at all about so many rows."""
    return name != "Badge" or rows.size * classes <= LARGEST_MATRIX


def head() -> Any:
    """The classifier that peers go by and are judged by."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10, max_iter=300)


def pick(name: str, rows: NDArray[Any], labels: NDArray[Any], count: int, classes: int, seed: int) -> NDArray[Any]:
    """Row numbers that the peer wants labelled next.

    Args:
        name: the class in `skactiveml.pool`, or a name of `other_peers`.
        rows: [n, d], labelled or not.
        labels: float [n], NaN where not labelled.
        count: how many rows.
        classes: how many classes there are.
        seed: for what it draws.
    """
    if name in other_peers.OTHERS:
        return other_peers.pick(name, rows, labels, count, classes, seed, head)
    from skactiveml import pool
    from skactiveml.classifier import SklearnClassifier

    own: dict[str, Any] = {"n_classes": classes} if name == "ProbCover" else {}
    own |= {"method": "margin_sampling"} if name == "UncertaintySampling" else {}
    strategy = getattr(pool, name)(random_state=seed, **own)
    if name in WITHOUT_A_HEAD:
        return np.asarray(strategy.query(rows, labels, batch_size=count))
    wrapped = SklearnClassifier(head(), classes=list(range(classes)), random_state=seed)
    by = {"estimator" if name == "Clue" else "clf": wrapped}
    return np.asarray(strategy.query(rows, labels, batch_size=count, **by))

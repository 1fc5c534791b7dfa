"""Strategies of small-text, modAL and baal through their own interfaces, each with the logistic head where one is needed.

Nothing of Labelloop needs these libraries, and what they ask for beside themselves is large. So they are put, without that,
into a folder of the benchmark's own, and use the NumPy, scikit-learn and torch that are here: the same for every method.
"""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]

FOLDER = Path(".run/label_efficiency/peers")
REQUIREMENTS = (
    "small-text==1.4.1",
    "modAL-python==0.4.2.1",
    "baal==2.1.0",
    # What baal cannot be imported without
    "lightning-utilities==0.15.3",
    "structlog==22.3.0",
    "torchmetrics==1.9.0",
)
# Heads trained on draws of the labels, for what goes by the disagreement of several.
COMMITTEE = 10


def prepare() -> None:
    """Install the libraries if they are not there, and let them be imported, behind everything else."""
    stamp = FOLDER / "installed"
    wanted = " ".join(REQUIREMENTS)
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--python", sys.executable]
        place = ["--target", str(FOLDER), "--no-deps", "--constraint", "requirements.lock"]
        subprocess.run([*uv, *place, *REQUIREMENTS], check=True)  # noqa: S603
        stamp.write_text(wanted, encoding="utf-8")
    if str(FOLDER.resolve()) not in sys.path:
        sys.path.append(str(FOLDER.resolve()))


def pick(name: str, rows: Rows, labels: Rows, count: int, classes: int, seed: int, head: Callable[[], Any]) -> Rows:
    """Row numbers that the peer wants labelled next; arguments as in `label_peers.pick`, and what makes a new head."""
    prepare()
    np.random.seed(seed)  # what some of the libraries draw from
    have = np.flatnonzero(~np.isnan(labels))
    left = np.flatnonzero(np.isnan(labels))
    asked = Asked(rows, have, labels[have].astype(np.int64), left, count, classes, head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in AFTER_A_DRAW and not asked.trainable:
            return left[np.random.default_rng(seed).permutation(left.size)[:count]]
        return np.asarray(OTHERS[name](asked))


class Asked:
    """What a peer is asked: `rows` [n, d], of which those at `have` have `labels`, and `count` of those `left` are wanted."""

    def __init__(
        self, rows: Rows, have: Rows, labels: Rows, left: Rows, count: int, classes: int, head: Callable[[], Any]
    ) -> None:
        self.rows, self.have, self.labels, self.left = rows, have, labels, left
        self.count, self.classes, self.head = count, classes, head

    @property
    def trainable(self) -> bool:
        """Whether a head can be trained: there are labels of two classes."""
        return np.unique(self.labels).size > 1

    def committee(self) -> Rows:
        """What heads trained on draws of the labels say of the rows left, [n, classes, COMMITTEE]."""
        said = np.zeros((self.left.size, self.classes, COMMITTEE))
        for member in range(COMMITTEE):
            drawn = np.random.randint(0, self.have.size, self.have.size)
            if np.unique(self.labels[drawn]).size < 2:
                drawn = np.arange(self.have.size)
            fitted = self.head().fit(self.rows[self.have[drawn]], self.labels[drawn])
            said[:, fitted.classes_, member] = fitted.predict_proba(self.rows[self.left])
        return said


def _small_text(strategy: str, **own: Any) -> Callable[[Asked], Rows]:
    def choose(asked: Asked) -> Rows:
        from small_text import query_strategies
        from small_text.classifiers import SklearnClassifier
        from small_text.data import SklearnDataset

        labels = np.zeros(len(asked.rows), dtype=np.int64)
        labels[asked.have] = asked.labels
        dataset = SklearnDataset(asked.rows, labels, target_labels=np.arange(asked.classes))
        by = SklearnClassifier(asked.head(), asked.classes)
        if asked.trainable:
            by.fit(dataset[asked.have])
        given: dict[str, Any] = {}
        if issubclass(getattr(query_strategies, strategy), query_strategies.EmbeddingBasedQueryStrategy):
            # They look for their rows among the unlabelled and then the labelled ones.
            given["embeddings"] = asked.rows[np.concatenate([asked.left, asked.have])]
        strategy_of = getattr(query_strategies, strategy)(**own)
        return np.asarray(strategy_of.query(by, dataset, asked.left, asked.have, asked.labels, n=asked.count, **given))

    return choose


def _modal(module: str, strategy: str) -> Callable[[Asked], Rows]:
    def choose(asked: Asked) -> Rows:
        import importlib

        from modAL.models import ActiveLearner

        known = {"X_training": asked.rows[asked.have], "y_training": asked.labels} if asked.trainable else {}
        query = getattr(importlib.import_module(f"modAL.{module}"), strategy)
        learner = ActiveLearner(estimator=asked.head(), query_strategy=query, **known)
        chosen, _ = learner.query(asked.rows[asked.left], n_instances=asked.count)
        rows: Rows = asked.left[np.asarray(chosen)]
        return rows

    return choose


def _baal(heuristic: str, **own: Any) -> Callable[[Asked], Rows]:
    def choose(asked: Asked) -> Rows:
        from baal.active import heuristics

        said = asked.committee()
        if heuristic == "Margin":
            fitted = asked.head().fit(asked.rows[asked.have], asked.labels)
            said = np.zeros((asked.left.size, asked.classes))
            said[:, fitted.classes_] = fitted.predict_proba(asked.rows[asked.left])
        ranked = getattr(heuristics, heuristic)(**own)(said)
        rows: Rows = asked.left[np.asarray(ranked)[: asked.count]]
        return rows

    return choose


OTHERS: dict[str, Callable[[Asked], Rows]] = {
    "small-text BreakingTies": _small_text("BreakingTies"),
    "small-text GreedyCoreset": _small_text("GreedyCoreset"),
    "small-text LightweightCoreset": _small_text("LightweightCoreset"),
    "small-text EmbeddingKMeans": _small_text("EmbeddingKMeans"),
    "modAL margin": _modal("uncertainty", "margin_sampling"),
    "modAL ranked batch": _modal("batch", "uncertainty_batch_sampling"),
    "baal Margin": _baal("Margin"),
    "baal BALD": _baal("BALD"),
}
# small-text and baal leave the first batch to a random draw, and a greedy core-set starts from labelled rows.
AFTER_A_DRAW = ("small-text BreakingTies", "small-text GreedyCoreset", "modAL margin", "baal Margin", "baal BALD")

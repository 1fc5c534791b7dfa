"""The story of a project's versions: the learning curve, how far predictions change, how often people agree with them.

`versions/<name>/history.json` is written once, when the version goes live, and never changes. It carries on what the version's
parent had, so the story outlives versions that are removed, and rolling back goes back in it.
"""

from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from labelloop.learning.pool_accuracy import PoolAccuracy
from labelloop.learning.stopping import Agreement, CurvePoint, Stability, pooled
from labelloop.service.context import Context
from labelloop.service.projects import Project

RECENT_LABELS: Final = 100


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """One version of one control.

    Attributes:
        version: its name.
        labels: labels it was trained or judged on.
        holdout: what it reached on the holdout; None while that is empty.
        cross_validation: cross-validated; None when no class has two labels.
        stability: its predictions against those of a version with at least 20 fewer labels; None where there is none.
        pool: its accuracy on the pool, estimated from what it was tested on; None while that is little.
        agreement: the labels that came since the version before it, against that version's predictions; None without any.
    """

    version: str
    labels: int
    holdout: CurvePoint | None = None
    cross_validation: CurvePoint | None = None
    stability: Stability | None = None
    pool: PoolAccuracy | None = None
    agreement: Agreement | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What an earlier version of a control predicted.

    Attributes:
        labels: labels it was trained or judged on.
        tasks: ids of a sample of the pool when it went live.
        predicted: the place among the classes of what it predicted for each.
    """

    labels: int
    tasks: tuple[int, ...]
    predicted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ControlHistory:
    """The versions of one control up to one of them.

    Attributes:
        classes: the classes it was trained for; with another list the story begins anew.
        points: the oldest first, the last is the version's own.
        tasks: ids of a sample of the pool when the version went live.
        predicted: the place in `classes` of what it predicts for each.
        earlier: what the versions before it predicted that later ones are compared with, the oldest first: they may be gone.
    """

    classes: tuple[str, ...]
    points: tuple[HistoryPoint, ...] = ()
    tasks: tuple[int, ...] = ()
    predicted: tuple[int, ...] = ()
    earlier: tuple[Snapshot, ...] = ()

    def picks(self, of: Snapshot | None = None) -> dict[int, str]:
        """The class by task id that the version predicted, or an earlier one."""
        shown = of or self
        return {task_id: self.classes[place] for task_id, place in zip(shown.tasks, shown.predicted, strict=True)}

    def snapshots(self) -> tuple[Snapshot, ...]:
        """The earlier ones with the version's own."""
        return (*self.earlier, Snapshot(self.points[-1].labels, self.tasks, self.predicted)) if self.points else ()

    def agreement(self) -> Agreement | None:
        """People against predictions, over the last versions that saw a hundred labels come; None without any."""
        recent: list[Agreement] = []
        for point in reversed(self.points):
            if sum(one.items for one in recent) < RECENT_LABELS and point.agreement is not None:
                recent.append(point.agreement)
        return pooled(recent)


History = dict[str, ControlHistory]
"""By control name."""

_ADAPTER = TypeAdapter(History)


def read_history(context: Context, project: Project, version: str) -> History:
    """The story up to a version; empty where none was kept or it cannot be read."""
    kept = context.store.read(_path(project, version))
    try:
        return _ADAPTER.validate_json(kept) if kept else {}
    except ValidationError:  # of another release; the story begins anew
        return {}


def write_history(context: Context, project: Project, version: str, history: History) -> None:
    """Keep the story up to a version.

    Raises:
        StoreError: the store cannot be written to.
    """
    context.store.write(_path(project, version), _ADAPTER.dump_json(history))


def _path(project: Project, version: str) -> str:
    return f"{project.folder}/versions/{version}/history.json"

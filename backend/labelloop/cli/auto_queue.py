"""Watches the order in which Label Studio serves tasks: each must have the lowest live score of those not labelled yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labelloop.labelstudio.client import LabelStudio


@dataclass(frozen=True)
class Board:
    """The stored predictions of one version.

    Attributes:
        scores: by task id; Label Studio serves the lowest first.
        labels: the predicted class by task id, where one is shown.
    """

    scores: Mapping[int, float] = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)

    def covers(self, tasks: set[int]) -> bool:
        """Whether every one of the tasks has a score."""
        return tasks <= self.scores.keys()

    def accuracy(self, truth: Mapping[int, str], tasks: set[int]) -> float | None:
        """Share of the tasks whose stored prediction is right; None without tasks."""
        return sum(self.labels.get(task) == truth[task] for task in tasks) / len(tasks) if tasks else None

    def serves_first(self, task: int, pool: set[int]) -> bool:
        """Whether no task of the pool has a lower score than this one, which must have one."""
        if task not in self.scores:
            return False
        return self.scores[task] <= min((self.scores[other] for other in pool & self.scores.keys()), default=0.0)


class Queue:
    """A project's queue, as Label Studio's own API shows it.

    Args:
        label_studio: where the project lives.
        project_id: its id.
    """

    def __init__(self, label_studio: LabelStudio, project_id: int) -> None:
        self._label_studio = label_studio
        self._project_id = project_id
        self.boards: dict[str, Board] = {}
        """The newest copy of each version's predictions, kept when Label Studio no longer has them."""

    def live(self) -> str:
        """The version whose scores order the queue; empty when none does."""
        return str(self._label_studio.project(self._project_id)["model_version"] or "")

    def board(self, version: str, *, again: bool = False) -> Board:
        """The predictions of a version, from memory if they were read before and `again` is False."""
        if again or version not in self.boards:
            self.boards[version] = self._read(version)
        return self.boards[version]

    def serve(self, pool: set[int]) -> tuple[int | None, bool | None]:
        """Ask for the next task, as an annotator's browser does.

        Returns:
            The task's id, None when there is none; and whether it was the right one: None when that cannot be told, because
            another version went live in between.
        """
        before = self.live()
        task = self._label_studio.next_task(self._project_id)
        if task is None:
            return None, None
        number = int(task["id"])
        if before and self.board(before).serves_first(number, pool):
            return number, True
        right = bool(before) and self.board(before, again=True).serves_first(number, pool)
        return number, right if right or self.live() == before else None

    def _read(self, version: str) -> Board:
        # The list is not paged, and holds the predictions of older versions until they are pruned.
        stored = self._label_studio.get("/api/predictions", params={"project": self._project_id})
        ours = [prediction for prediction in stored if prediction["model_version"] == version]
        scores = {prediction["task"]: float(prediction["score"]) for prediction in ours}
        labels = {
            prediction["task"]: prediction["result"][0]["value"]["choices"][0]
            for prediction in ours
            if prediction["result"]
        }
        return Board(scores, labels)

"""What the played annotator saw, and whether the loop really closed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labelloop.cli.auto_queue import Board

WANTED_VERSIONS = 3
CHECKED_SHARE = 0.8


@dataclass(frozen=True)
class Arrival:
    """A version that went live by itself.

    Attributes:
        version: its name.
        trained: False for a cold one, which only orders the queue.
        labels: labels it knows, held out ones included.
        seconds: from the submit of the last label it knows until it was live; None for a cold one.
    """

    version: str
    trained: bool
    labels: int
    seconds: float | None


@dataclass
class Report:
    """Counts of one run.

    Attributes:
        truth: the true label by task id.
        labelled: tasks labelled so far, in that order.
        arrivals: versions in the order they went live.
        right, wrong, untold: served tasks that were, were not, and may or may not have been the lowest of the live scores.
    """

    truth: Mapping[int, str]
    labelled: list[int] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    right: int = 0
    wrong: int = 0
    untold: int = 0

    @property
    def pool(self) -> set[int]:
        """Tasks nobody labelled."""
        return self.truth.keys() - set(self.labelled)

    def served(self, in_order: bool | None) -> None:
        """Count a served task."""
        self.right += in_order is True
        self.wrong += in_order is False
        self.untold += in_order is None

    def accuracies(self, boards: Mapping[str, Board]) -> list[float]:
        """Accuracy of each trained version on the tasks that nobody has labelled to this moment, the same for all."""
        pool = self.pool
        found = (
            boards[arrival.version].accuracy(self.truth, pool)
            for arrival in self.arrivals
            if arrival.trained and boards.get(arrival.version, Board()).covers(pool)
        )
        return [accuracy for accuracy in found if accuracy is not None]

    def curve(self, boards: Mapping[str, Board]) -> list[tuple[int, float]]:
        """For each trained version: the labels it knows, and the share of all tasks that they and it together get right."""
        points = []
        for arrival in self.arrivals:
            if arrival.trained and (board := boards.get(arrival.version)):
                predicted = board.labels.keys() - set(self.labelled[: arrival.labels])
                right = sum(board.labels[task] == self.truth[task] for task in predicted)
                points.append((arrival.labels, (arrival.labels + right) / (arrival.labels + len(predicted))))
        return points

    def failures(self, boards: Mapping[str, Board]) -> list[str]:
        """What did not happen that should have, one sentence each; none when the loop closed."""
        trained = sum(arrival.trained for arrival in self.arrivals)
        accuracies = self.accuracies(boards)
        found = []
        if trained < WANTED_VERSIONS:
            found.append(f"{trained} trained versions went live; at least {WANTED_VERSIONS} should have.")
        if self.wrong:
            found.append(
                f"{self.wrong} of {self._told} tasks were not the lowest of the live scores when they were served."
            )
        if self.right < CHECKED_SHARE * (self._told + self.untold) or not self.right:
            found.append(
                f"The order was seen to be right for {self.right} of {self._told + self.untold} served tasks only."
            )
        if len(accuracies) < 2 or accuracies[-1] <= accuracies[0]:
            told = (
                " to ".join(f"{accuracy:.1%}" for accuracy in (accuracies[:1] + accuracies[1:][-1:]))
                or "never measured"
            )
            found.append(f"Accuracy on tasks nobody labelled did not rise: {told}.")
        return found

    @property
    def _told(self) -> int:
        return self.right + self.wrong

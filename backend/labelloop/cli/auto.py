"""`labelloop up --auto`: plays the annotator through Label Studio's own API and judges whether the loop closed."""

import time
from collections.abc import Callable
from threading import Event
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from labelloop.cli.auto_queue import Queue
from labelloop.cli.auto_report import Arrival, Report
from labelloop.cli.demo import Demo
from labelloop.errors import LabelloopError, StartError
from labelloop.service.context import Context, open_context
from labelloop.service.versions import Versions
from labelloop.settings import Settings

LABELS = 120
FIRST_ORDER_TIMEOUT = 180.0
LAST_VERSION_TIMEOUT = 90.0
PRINTED_WIDTH = 110
THINKING = 0.2
"""Seconds between a submit and the next look: a fast annotator's."""


def play(settings: Settings, demo: Demo, stopped: Event) -> int:
    """Label tasks in the order they are served and show what happens.

    Args:
        settings: of the backend that the demo is connected to.
        demo: a project without labels, and the truth about its tasks.
        stopped: ends the run early when set.

    Returns:
        0 when the loop closed: three trained versions went live by themselves, the served order was that of the live
        scores, and accuracy rose; otherwise 1.
    """
    player = Player(open_context(settings), demo, stopped)
    console = Console()
    if not console.is_terminal:  # a file is as wide as need be
        console = Console(width=PRINTED_WIDTH)
    with Live(player.table(), console=console, refresh_per_second=4) as live:
        player.run(lambda: live.update(player.table()))
    if stopped.is_set():
        return 1
    console.print()
    for line in player.verdict():
        console.print(line, markup=False, highlight=False)
    return 1 if player.report.failures(player.queue.boards) else 0


class Player:
    """One run of the played annotator.

    Args:
        context: doors of the backend that the demo is connected to.
        demo: a project without labels, and the truth about its tasks.
        stopped: ends the run early when set.

    Attributes:
        queue: what Label Studio served and with which scores.
        report: what happened.
    """

    def __init__(self, context: Context, demo: Demo, stopped: Event) -> None:
        self._label_studio = context.label_studio
        self._versions = _versions_of(context, demo.project_id)
        self._stopped = stopped
        self._submitted: list[float] = []
        self._live = ""
        self._doing = "waiting for the first order of the queue"
        self._backbone = ""
        self.queue = Queue(self._label_studio, demo.project_id)
        self.report = Report(demo.truth)

    def run(self, show: Callable[[], None]) -> None:
        """Label until there are enough labels, then wait for a version that knows them all."""
        self._until(lambda: bool(self._live), FIRST_ORDER_TIMEOUT, show)
        if not self._live and not self._stopped.is_set():
            raise StartError(
                f"No order of the queue went live within {FIRST_ORDER_TIMEOUT:.0f} s; see the worker's log."
            )
        self._doing = "labelling"
        while len(self.report.labelled) < LABELS and not self._stopped.is_set():
            if not self._label_one():
                break
            self._look()
            show()
            self._stopped.wait(THINKING)
        self._doing = "waiting for a version that knows every label"
        self._until(self._all_learnt, LAST_VERSION_TIMEOUT, show)
        self._doing = "done"
        show()

    def table(self) -> Table:
        """What happened so far."""
        state = f"{len(self.report.labelled)} labels submitted, {len(self.report.pool)} tasks left, {self._doing}"
        table = Table(title="The loop, played by labelloop up --auto", caption=state)
        table.add_column("labels", justify="right")
        table.add_column("live version")
        table.add_column("accuracy on tasks nobody labelled", justify="right")
        table.add_column("seconds from submit to live", justify="right")
        for arrival in self.report.arrivals:
            board = self.queue.boards.get(arrival.version)
            accuracy = board.accuracy(self.report.truth, self.report.pool & board.scores.keys()) if board else None
            table.add_row(
                str(arrival.labels),
                arrival.version,
                "" if accuracy is None or not arrival.trained else f"{accuracy:.1%}",
                "" if arrival.seconds is None else f"{arrival.seconds:.1f}",
            )
        return table

    def verdict(self) -> list[str]:
        """The run in a few lines."""
        report = self.report
        failures = report.failures(self.queue.boards)
        accuracies = report.accuracies(self.queue.boards)
        lines = [self._backbone] if self._backbone else []
        lines.append(
            f"Order: {report.right} served tasks had the lowest live score, {report.wrong} had not, "
            f"{report.untold} were served while another version went live."
        )
        if accuracies:
            lines.append(
                f"Accuracy on the {len(report.pool)} tasks nobody labelled: {accuracies[0]:.1%} at first, "
                f"{accuracies[-1]:.1%} at last."
            )
        return lines + ([f"The loop did not close: {failure}" for failure in failures] or ["The loop closed."])

    def _until(self, holds: Callable[[], bool], timeout: float, show: Callable[[], None]) -> None:
        deadline = time.monotonic() + timeout
        while not holds() and time.monotonic() < deadline and not self._stopped.wait(THINKING):
            self._look()
            show()

    def _all_learnt(self) -> bool:
        return bool(self.report.arrivals) and self.report.arrivals[-1].labels >= len(self.report.labelled)

    def _label_one(self) -> bool:
        """Take the task that is served and submit its true label; False when none is left."""
        task, in_order = self.queue.serve(self.report.pool)
        if task is None:
            return False
        self._label_studio.annotate(task, _choice(self.report.truth[task]), lead_time=THINKING)
        self._submitted.append(time.monotonic())
        self.report.served(in_order)
        self.report.labelled.append(task)
        return True

    def _look(self) -> None:
        """See which version is live, and read its predictions once they are all there."""
        live = self.queue.live()
        if not live:
            return
        if live != self._live and (arrival := self._arrival(live)):
            self._live = live
            self.report.arrivals.append(arrival)
        if live == self._live and not self.queue.board(live).covers(self.report.pool):
            self.queue.board(live, again=True)

    def _arrival(self, name: str) -> Arrival | None:
        """What the store says of a version; None when Label Studio shows something else than one of ours."""
        try:
            version = self._versions.get(name)
        except LabelloopError:
            return None
        known = version.labels + version.holdout
        trained = version.stage == "trained"
        if version.learners:
            backbone = version.learners[0].backbone
            self._backbone = backbone.note or f"Images were read by {backbone.name}."
        submitted = (
            self._submitted[min(known, len(self._submitted)) - 1] if trained and known and self._submitted else None
        )
        return Arrival(name, trained, known, None if submitted is None else time.monotonic() - submitted)


def _versions_of(context: Context, project_id: int) -> Versions:
    project = context.projects.find(project_id)
    if project is None:
        raise StartError(f"Project {project_id} is not registered in the store {context.store.location}.")
    return context.versions(project)


def _choice(label: str) -> list[dict[str, Any]]:
    return [{"from_name": "digit", "to_name": "image", "type": "choices", "value": {"choices": [label]}}]

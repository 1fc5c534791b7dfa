"""Accuracy on digits along the order that Label Studio serves."""

from threading import Event
from typing import Any

from benchmarks.whole import running
from labelloop.cli.auto import Player
from labelloop.cli.demo import prepare_demo

ALL_DIGITS = range(1797)
WANTED = 0.95


def run() -> dict[str, Any]:
    """The played annotator on all 1,797 digits."""
    with running() as whole:
        demo = prepare_demo(whole.context.label_studio, whole.browser, digits=ALL_DIGITS)
        whole.connect(demo.project_id)
        player = Player(whole.context, demo, Event())
        player.run(lambda: None)
        curve = player.report.curve(player.queue.boards)
    reached = next((labels for labels, right in curve if right >= WANTED), None)
    return {
        "tasks": len(demo.truth),
        "tasks_right_by_labels": [[labels, round(right, 4)] for labels, right in curve],
        "labels_for_95_percent": reached,
        "served_in_order": [player.report.right, player.report.wrong, player.report.untold],
    }

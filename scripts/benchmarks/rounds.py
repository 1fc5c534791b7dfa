"""From the triggering submit to the live version, and from there to the queue in its order."""

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.figures import medians
from benchmarks.text_pool import choice, make_project
from benchmarks.whole import Whole, running, trained, wait_for

TASKS = 10_000
LABELLED = 500
ROUNDS = 5
Result = list[dict[str, Any]]


def run() -> dict[str, Any]:
    """Five rounds on 10,000 texts, 500 labelled to begin with, features cached."""
    with running() as whole:
        project_id, truth = make_project(whole.context.label_studio, TASKS, LABELLED)
        waiting = [(task, choice(truth[task])) for task in sorted(truth)[LABELLED:]]
        return {"tasks": TASKS, "labels": LABELLED, **measure_rounds(whole, project_id, waiting, ROUNDS)}


def measure_rounds(
    whole: Whole, project_id: int, waiting: Sequence[tuple[int, Result]], rounds: int, patience: float = 300
) -> dict[str, Any]:
    """Connect a project of which some is labelled, and then have it trained so many times.

    Args:
        whole: the running Labelloop.
        project_id: the project.
        waiting: tasks without a label, in the order in which they are answered, and the answers.
        rounds: how many; `train_after` answers are given for each.
        patience: seconds for the first version and the push of it, for which everything is embedded.

    Returns:
        Seconds from the last answer to the live version, and from there to the first and to all tasks in its order.
    """
    versions = whole.connect(project_id)
    wait_for(lambda: trained(versions) is not None, "the first trained version", patience)
    whole.wait_pushed(project_id, versions.live_name() or "", patience)
    size = whole.context.settings.train_after

    def a_round(some: Sequence[tuple[int, Result]]) -> tuple[float, float, float]:
        before = versions.live_name()
        for task, said in some:
            whole.context.label_studio.annotate(task, said)
        submitted = time.monotonic()
        live_at = wait_for(lambda: versions.live_name() != before, "the next version", every=0.01)
        live = versions.live_name() or ""
        switched_at = wait_for(lambda: whole.live_in_label_studio(project_id) == live, "the switch")
        pushed_at = whole.wait_pushed(project_id, live)
        return live_at - submitted, switched_at - live_at, pushed_at - live_at

    measured = [a_round(waiting[number * size : (number + 1) * size]) for number in range(rounds)]
    live_s, first_s, all_s = zip(*measured, strict=True)
    return {
        "submit_to_live_s": medians(live_s),
        "live_to_first_500_ordered_s": medians(first_s),
        "live_to_all_ordered_s": medians(all_s),
    }

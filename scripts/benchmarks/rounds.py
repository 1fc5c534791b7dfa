"""From the triggering submit to the live version, and from there to the queue in its order."""

import time
from typing import Any

from benchmarks.figures import medians
from benchmarks.text_pool import choice, make_project
from benchmarks.whole import running, trained, wait_for

TASKS = 10_000
LABELLED = 500
ROUNDS = 5


def run() -> dict[str, Any]:
    """Five rounds on 10,000 texts, 500 labelled to begin with, features cached."""
    with running() as whole:
        label_studio = whole.context.label_studio
        project_id, truth = make_project(label_studio, TASKS, LABELLED)
        versions = whole.connect(project_id)
        wait_for(lambda: trained(versions) is not None, "the first trained version")
        whole.wait_pushed(project_id, versions.live_name() or "")
        unlabelled = sorted(truth)[LABELLED:]
        size = whole.context.settings.train_after
        measured = []
        for number in range(ROUNDS):
            before = versions.live_name()
            for task in unlabelled[number * size : (number + 1) * size]:
                label_studio.annotate(task, choice(truth[task]))
            submitted = time.monotonic()
            live_at = wait_for(lambda before=before: versions.live_name() != before, "the next version", every=0.01)
            live = versions.live_name() or ""
            switched_at = wait_for(lambda live=live: whole.live_in_label_studio(project_id) == live, "the switch")
            pushed_at = whole.wait_pushed(project_id, live)
            measured.append((live_at - submitted, switched_at - live_at, pushed_at - live_at))
        live_s, first_s, all_s = zip(*measured, strict=True)
    return {
        "tasks": TASKS,
        "labels": LABELLED,
        "submit_to_live_s": medians(live_s),
        "live_to_first_500_ordered_s": medians(first_s),
        "live_to_all_ordered_s": medians(all_s),
    }

"""What being connected adds to an annotator's submit."""

import time
from typing import Any

import numpy as np

from benchmarks.figures import MS, milliseconds
from benchmarks.text_pool import choice, make_project
from benchmarks.whole import running, trained, wait_for

SUBMITS = 300
LABELLED = 100


def run() -> dict[str, Any]:
    """Submits in turn to two equal projects, only one of them connected, while versions are trained."""
    with running() as whole:
        label_studio = whole.context.label_studio
        connected, alone = (make_project(label_studio, SUBMITS + LABELLED, LABELLED) for _ in range(2))
        versions = whole.connect(connected[0])
        wait_for(lambda: trained(versions) is not None, "the first trained version")
        taken: dict[int, list[float]] = {connected[0]: [], alone[0]: []}
        for number in range(LABELLED, LABELLED + SUBMITS):
            for project_id, truth in (connected, alone):
                task = sorted(truth)[number]
                started = time.perf_counter()
                label_studio.annotate(task, choice(truth[task]))
                taken[project_id].append(time.perf_counter() - started)
        added = np.percentile(taken[connected[0]], 95) - np.percentile(taken[alone[0]], 95)
    return {
        "connected": milliseconds(taken[connected[0]]),
        "alone": milliseconds(taken[alone[0]]),
        "added_p95_ms": round(float(added) * MS, 2),
    }

"""How long Label Studio's calls take, /webhook while a training runs."""

import time
from pathlib import Path
from typing import Any

import requests

from benchmarks.figures import milliseconds
from benchmarks.text_pool import make_project
from benchmarks.whole import Whole, running, trained, wait_for
from labelloop.service.queueing import enqueue_round

CALLS = 1000
TASKS = 2000
LABELLED = 500
PAUSE = 0.02
"""Seconds between two events, so that they are spread over several trainings."""


def run() -> dict[str, Any]:
    """A project of 2,000 texts, 500 of them labelled."""
    with running() as whole:
        label_studio = whole.context.label_studio
        project_id, _ = make_project(label_studio, TASKS, LABELLED)
        idle = resident_megabytes(whole.server_pid)
        versions = whole.connect(project_id)
        wait_for(lambda: trained(versions) is not None, "the first trained version")
        whole.wait_pushed(project_id, versions.live_name() or "")
        project = label_studio.project(project_id)
        known = whole.context.projects.find(project_id)
        assert known is not None
        tasks = list(label_studio.tasks(project_id))
        setup = {"project": str(known.key), "schema": project["label_config"], "hostname": "", "access_token": ""}
        asking = {"project": str(known.key), "label_config": project["label_config"], "params": {}}
        event = {
            "action": "ANNOTATION_UPDATED",
            "project": project,
            "task": tasks[0],
            "annotation": {"id": 1, "result": []},
        }
        calls = {
            "health": [_timed("GET", f"{whole.url}/health") for _ in range(CALLS)],
            "setup": [_timed("POST", f"{whole.url}/setup", setup) for _ in range(CALLS)],
            "predict_one": [
                _timed("POST", f"{whole.url}/predict", asking | {"tasks": [task]}) for task in tasks[-CALLS:]
            ],
        }
        calls["webhook_while_training"] = _webhooks(whole, known.slug, event)
        after = resident_megabytes(whole.server_pid)
    return {name: milliseconds(taken) for name, taken in calls.items()} | {
        "server_megabytes_idle": idle,
        "server_megabytes_after": after,
    }


def resident_megabytes(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) // 1024


def _webhooks(whole: Whole, slug: str, event: dict[str, Any]) -> list[float]:
    """Durations of events, with a forced training always waiting or running."""
    taken = []
    for _ in range(CALLS):
        enqueue_round(whole.context.redis, slug, whole.context.settings, force=True)
        taken.append(_timed("POST", f"{whole.url}/webhook", event))
        time.sleep(PAUSE)
    return taken


def _timed(method: str, url: str, body: dict[str, Any] | None = None) -> float:
    started = time.perf_counter()
    requests.request(method, url, json=body, timeout=60).raise_for_status()
    return time.perf_counter() - started

"""A project of texts on paper, for rounds without a Label Studio."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labelloop.labelstudio import ProjectKey
from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.round import run_round
from support.annotating import TEXT_CONFIG, sentences
from support.redis_process import RedisProcess
from support.serving import a_context, a_project

CREATED = "2026-11-20T10:02:13.000000Z"


class PaperStudio:
    """A project on paper, as far as a round asks for it: its record and its tasks with their labels."""

    def __init__(self, key: str, count: int = 60) -> None:
        self.key = key
        self.texts = sentences(count)
        self.labelled = 0

    def project(self, project_id: int) -> dict[str, Any]:
        return {
            "id": project_id, "created_at": CREATED, "title": "paper", "label_config": TEXT_CONFIG,
            "maximum_annotations": 1, "task_number": len(self.texts), "total_annotations_number": self.labelled,
            "num_tasks_with_annotations": self.labelled, "skipped_annotations_number": 0,
            "sampling": "Uncertainty sampling", "model_version": None,
        }  # fmt: skip

    def tasks(self, project_id: int, *, updated_since: str | None = None) -> Iterator[dict[str, Any]]:
        for number, (text, topic) in enumerate(self.texts, start=1):
            region = {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [topic]}}
            annotation = {"id": number, "updated_at": CREATED, "result": [region], "lead_time": 36.0}
            answers = [annotation] if number <= self.labelled else []
            yield {"id": number, "data": {"text": text}, "updated_at": CREATED, "annotations": answers}


def opened(folder: Path, redis: RedisProcess, studio: PaperStudio, **settings: Any) -> tuple[Context, Project]:
    context = a_context(folder, redis.url, train_after=5, text_backbone="plain", stop_when_done=True, **settings)
    vars(context)["label_studio"] = studio
    key = ProjectKey.from_project(studio.project(4))
    return context, a_project(context, TEXT_CONFIG, str(key))


def label(context: Context, project: Project, studio: PaperStudio, count: int, *, force: bool = False) -> str:
    """Label tasks up to that many and do a round; returns the live version."""
    studio.labelled = count
    run_round(context, project, lambda step, done, total: None, force=force)
    return context.versions(project).live_name() or ""

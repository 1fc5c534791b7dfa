"""A project of digit images in a store, with labels and a first version live, for tests that fine-tune behind it."""

import base64
from pathlib import Path
from typing import Any

from labelloop.labelstudio import ProjectKey, TaskRecord, with_used_labels
from labelloop.labelstudio.tasks import AnnotationRecord
from labelloop.service.book import Book, read_book, write_book
from labelloop.service.context import Context
from labelloop.service.releases import learner_record, release
from labelloop.service.scene import Scene
from labelloop.service.training import Candidate, train_control
from labelloop.service.versions import Version
from labelloop.settings import Settings
from support.tuning_bench import CLASSES, digit_images

CHOICES = "".join(f'<Choice value="{label}"/>' for label in CLASSES)
CONFIG = f'<View><Image name="image" value="$image"/><Choices name="digit" toName="image">{CHOICES}</Choices></View>'


def settings_for(folder: Path, weights: Path, redis_url: str, **more: object) -> Settings:
    return Settings(
        label_studio_url="http://127.0.0.1:9",
        label_studio_api_key="0123456789abcdef0123456789abcdef01234567",  # type: ignore[arg-type]
        redis_url=redis_url,
        data_dir=folder,
        image_weights=str(weights),
        device="cpu",
        offline=True,
        holdout_share=0.3,
        holdout_from=10,
        holdout_min=10,
        **{"fine_tune": "on", "fine_tune_from": 60, **more},  # type: ignore[arg-type]
    )


Item = tuple[dict[str, Any], list[dict[str, Any]]]
"""What a task holds, and what a perfect annotator answers."""


def digit_items(count: int) -> list[Item]:
    items, targets = digit_images(count)
    return [
        ({"image": data_uri(item)}, [answer("digit", "image", "choices", {"choices": [target.label]})])
        for item, target in zip(items, targets, strict=True)
    ]


def data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def answer(name: str, to: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": to, "type": kind, "value": value}


class TuningProject:
    """The project; annotators have labelled its first tasks."""

    def __init__(
        self, context: Context, tasks: int = 110, config: str = CONFIG, items: list[Item] | None = None
    ) -> None:
        self.context = context
        self.project = context.projects.register(ProjectKey(7, 1), config, "made", 1)
        self.items = items or digit_items(tasks)

    def label(self, count: int) -> None:
        """Write the book of a project whose first tasks are labelled."""
        tasks = {n + 1: self._task(n, labelled=n < count) for n in range(len(self.items))}
        write_book(self.context.store, self.project.folder, Book(tasks))

    def publish(self) -> Version:
        """Train and publish as a round does."""
        candidate, versions = self.candidate(), self.context.versions(self.project)
        controls, name = self.scene().config.controls, candidate.record.control.name
        return release(versions, versions.live(), {name: candidate}, controls, self.context.settings)

    def candidate(self) -> Candidate:
        scene = self.scene()
        targets = scene.labelled[scene.config.controls[0].name].targets
        control = with_used_labels(scene.config.controls[0], targets.values())
        record = learner_record(self.context.settings, control, scene.live)
        tasks = [scene.book.tasks[task_id] for task_id in sorted(targets)]
        sides = scene.sides(control)
        return train_control(record, tasks, targets, scene.embedder(record), sides, None, self.context.settings, silent)

    def scene(self) -> Scene:
        return Scene.of(self.context, self.project, read_book(self.context.store, self.project.folder))

    def _task(self, number: int, labelled: bool) -> TaskRecord:
        data, result = self.items[number]
        annotations = (AnnotationRecord(number + 1, 1, False, False, "2026", result),) if labelled else ()
        return TaskRecord(number + 1, data, "2026", annotations)


def silent(step: str, done: int, total: int) -> None:
    return

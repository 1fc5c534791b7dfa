"""Projects of real texts and images, people who label them, and what must be true afterwards."""

import io
import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import requests
from PIL import Image
from sklearn.datasets import load_digits

from labelloop.labelstudio import LabelStudio
from labelloop.service.context import Context
from labelloop.service.projects import Project
from support.loop_process import live_or_none, until

TEXT_CONFIG = """<View><Text name="text" value="$text"/><Choices name="topic" toName="text" choice="single">
<Choice value="weather"/><Choice value="food"/><Choice value="travel"/></Choices></View>"""
IMAGE_CONFIG = """<View><Image name="image" value="$image"/><Choices name="digit" toName="image" choice="single">
<Choice value="0"/><Choice value="1"/><Choice value="2"/></Choices></View>"""
WORDS = {
    "weather": ["rain", "cloud", "storm", "sunny", "wind", "cold", "snow", "fog", "thunder", "breeze"],
    "food": ["soup", "bread", "cheese", "pasta", "salad", "roast", "apple", "cake", "butter", "pepper"],
    "travel": ["train", "ticket", "hotel", "flight", "luggage", "museum", "harbour", "map", "border", "bus"],
}
COMMON = ["the", "a", "my", "we", "today", "really", "very", "some", "this", "was", "is", "will", "maybe", "again"]


@dataclass
class Job:
    """A project with the answers a perfect annotator would give, by task id."""

    label_studio: LabelStudio
    project_id: int
    control: str
    to_name: str
    truth: dict[int, str] = field(default_factory=dict)

    def answer(self, task_id: int, label: str | None = None) -> dict[str, Any]:
        """Submit an annotation as a person would."""
        return self.label_studio.annotate(task_id, [self.region(label or self.truth[task_id])])

    def region(self, label: str) -> dict[str, Any]:
        return {"from_name": self.control, "to_name": self.to_name, "type": "choices", "value": {"choices": [label]}}

    def served(self) -> int | None:
        task = self.label_studio.next_task(self.project_id)
        return int(task["id"]) if task else None

    def answer_served(self, count: int) -> list[int]:
        """Label the tasks Label Studio serves, in its order."""
        done = []
        for _ in range(count):
            task_id = self.served()
            assert task_id is not None, "the queue ran dry"
            self.answer(task_id)
            done.append(task_id)
        return done

    def unlabelled(self) -> list[int]:
        return _unlabelled(self.label_studio.tasks(self.project_id))


def sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    draw = random.Random(seed)
    found = []
    for index, topic in zip(range(count), itertools.cycle(WORDS), strict=False):
        words = draw.sample(WORDS[topic], 3) + draw.sample(COMMON, 4)
        draw.shuffle(words)
        found.append((f"{' '.join(words)} {index}", topic))
    return found


def text_job(label_studio: LabelStudio, count: int = 60, title: str = "texts") -> Job:
    project = label_studio.create_project(title, TEXT_CONFIG)
    job = Job(label_studio, project["id"], "topic", "text")
    add_texts(job, sentences(count))
    return job


def add_texts(job: Job, texts: list[tuple[str, str]]) -> None:
    job.label_studio.import_tasks(job.project_id, [{"text": text} for text, _ in texts])
    topic_of = dict(texts)
    for task in job.label_studio.tasks(job.project_id):
        if task["data"]["text"] in topic_of:
            job.truth[task["id"]] = topic_of[task["data"]["text"]]


def image_job(label_studio: LabelStudio, browser: requests.Session, count: int = 60) -> Job:
    """Handwritten digits 0, 1 and 2, uploaded as a person does."""
    digits = load_digits(n_class=3)
    project = label_studio.create_project("digits", IMAGE_CONFIG)
    job = Job(label_studio, project["id"], "digit", "image")
    files = {f"f{i}": (f"digit-{i:03}.png", png(digits.images[i]), "image/png") for i in range(count)}
    address = f"{label_studio.url}/api/projects/{project['id']}/import"
    browser.post(address, files=files, timeout=60).raise_for_status()
    for task in label_studio.tasks(project["id"]):
        index = int(task["data"]["image"].rsplit("digit-", 1)[1][:3])
        job.truth[task["id"]] = str(digits.target[index])
    return job


def png(pixels: np.ndarray) -> bytes:
    picture = io.BytesIO()
    grey = Image.fromarray((255 - pixels * (255 / 16)).astype(np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)
    grey.save(picture, "PNG")
    return picture.getvalue()


def scores_of(job: Job, version: str) -> dict[int, list[float]]:
    """The scores Label Studio holds of a version, by task id."""
    found: dict[int, list[float]] = {}
    for prediction in job.label_studio.get("/api/predictions/", params={"project": job.project_id}):
        if prediction["model_version"] == version:
            found.setdefault(prediction["task"], []).append(prediction["score"])
    return found


def labels_in_label_studio(job: Job) -> dict[str, str]:
    return _labels(job.label_studio.tasks(job.project_id))


def _unlabelled(tasks: Iterable[dict[str, Any]]) -> list[int]:
    return [task["id"] for task in tasks if not any(not a["was_cancelled"] for a in task["annotations"])]


def _labels(tasks: Iterable[dict[str, Any]]) -> dict[str, str]:
    found = {}
    for task in tasks:
        kept = [a for a in task["annotations"] if not a["was_cancelled"] and a["result"]]
        if kept:
            found[str(task["id"])] = kept[-1]["result"][0]["value"]["choices"][0]
    return found


def settled(job: Job, context: Context, project: Project) -> bool:
    """Whether all is as it must be in the end: see `explain`."""
    return not explain(job, context, project)


def explain(job: Job, context: Context, project: Project) -> str:
    """What is not yet as it must be: trained on what Label Studio holds, pushed to the whole queue, and ordering it."""
    live = live_or_none(context, project)
    if live is None or live.stage != "trained":
        return "no trained version is live"
    tasks = list(job.label_studio.tasks(job.project_id))
    labels = _labels(tasks)
    if context.versions(project).labels(live.name)["labels"][job.control] != labels:
        return f"{live.name} was not trained on the {len(labels)} labels in Label Studio"
    record = job.label_studio.project(job.project_id)
    if record["model_version"] != live.name or record["sampling"] != "Uncertainty sampling":
        return f"the queue is ordered by {record['model_version']!r} ({record['sampling']}), live is {live.name}"
    scores = scores_of(job, live.name)
    lacking = set(_unlabelled(tasks)) - scores.keys()
    if lacking:
        return f"{len(lacking)} tasks of the queue have no score of {live.name}"
    if any(score is None or not 0 <= score <= 1 for found in scores.values() for score in found):
        return "a score is missing or out of range"
    return ""


def wait_until_settled(job: Job, context: Context, project: Project, seconds: float = 60) -> str:
    """Wait for `settled`; returns the live version's name."""
    until(lambda: settled(job, context, project), seconds, lambda: explain(job, context, project), every=0.5)
    name = context.versions(project).live_name()
    assert name is not None
    return name


def assert_served_by_score(job: Job, version: str) -> None:
    """The next task is the one of the lowest score among those nobody labelled."""
    scores = scores_of(job, version)
    task_id = job.served()
    assert task_id is not None
    lowest = min(min(scores[other]) for other in job.unlabelled())
    assert min(scores[task_id]) == lowest

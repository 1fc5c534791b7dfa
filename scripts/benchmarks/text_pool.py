"""A project of made-up texts in five classes: as many tasks as are asked for, cheap to make, not trivial to tell apart."""

from typing import Any

import numpy as np

from labelloop.labelstudio import LabelStudio

CLASSES = ("billing", "delivery", "returns", "account", "praise")
LABEL_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    + "".join(f'<Choice value="{name}"/>' for name in CLASSES)
    + "</Choices></View>"
)
WORDS = 400
LENGTH = 12
IMPORT_CHUNK = 5000


def make_project(label_studio: LabelStudio, tasks: int, labelled: int) -> tuple[int, dict[int, str]]:
    """A project with `tasks` texts, the first `labelled` of them with imported labels.

    Returns:
        The project's id, and the true class by task id.
    """
    texts, classes = _texts(tasks)
    project_id = int(label_studio.create_project(f"{tasks} texts", LABEL_CONFIG)["id"])
    items = [
        _item(text, name, number < labelled) for number, (text, name) in enumerate(zip(texts, classes, strict=True))
    ]
    for start in range(0, tasks, IMPORT_CHUNK):
        label_studio.import_tasks(project_id, items[start : start + IMPORT_CHUNK])
    truth = dict(zip(texts, classes, strict=True))
    return project_id, {task["id"]: truth[task["data"]["text"]] for task in label_studio.tasks(project_id)}


def choice(name: str) -> list[dict[str, Any]]:
    """The result of an annotation."""
    return [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [name]}}]


def _item(text: str, name: str, labelled: bool) -> dict[str, Any]:
    return {"data": {"text": text}} | ({"annotations": [{"result": choice(name)}]} if labelled else {})


def _texts(count: int) -> tuple[list[str], list[str]]:
    """Distinct texts whose words are drawn from overlapping class vocabularies."""
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.full(WORDS, 0.1), size=len(CLASSES))
    classes = random.integers(len(CLASSES), size=count)
    texts = [
        " ".join(f"w{word}" for word in random.choice(WORDS, LENGTH, p=weights[name])) + f" n{number}"
        for number, name in enumerate(classes)
    ]
    return texts, [CLASSES[name] for name in classes]

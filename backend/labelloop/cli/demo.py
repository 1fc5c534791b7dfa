"""The demo project: scikit-learn's handwritten digits as images, uploaded as a person would upload them.

The digits are a test set of E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import count
from typing import Any

import requests

from labelloop.errors import LabelStudioRejected
from labelloop.labelstudio.client import LabelStudio

TITLE = "Labelloop demo: handwritten digits"
PLAYED_TITLE = "Labelloop demo: digits labelled by --auto"
DIGITS = range(0, 1797, 3)
SIDE = 128
UPLOAD_TIMEOUT = 120.0
FILES_PER_UPLOAD = 100  # as many as Label Studio takes in one request
_FILE = re.compile(r"digit-(\d{4})\.png$")

LABEL_CONFIG = """<View>
  <Image name="image" value="$image" zoom="true"/>
  <Choices name="digit" toName="image" choice="single" showInLine="true">
{choices}
  </Choices>
</View>""".format(choices="\n".join(f'    <Choice value="{digit}" hotkey="{digit}"/>' for digit in range(10)))


@dataclass(frozen=True)
class Demo:
    """A demo project.

    Attributes:
        project_id: its id in Label Studio.
        truth: the digit each task shows, by task id.
    """

    project_id: int
    truth: dict[int, str]


def prepare_demo(
    label_studio: LabelStudio, browser: requests.Session, *, fresh: bool = False, digits: range = DIGITS
) -> Demo:
    """The demo project, made or completed if need be.

    Args:
        label_studio: where it lives.
        browser: a logged-in session, which uploads the images.
        fresh: wanted without a single label, for the played annotator; projects that have some are left alone.
        digits: which of the 1,797 digits it shows.

    Raises:
        LabelStudioError: Label Studio cannot be reached, or refuses.
    """
    projects = {project["title"]: project for project in label_studio.projects()}
    titles = _played_titles() if fresh else iter([TITLE])
    title = next(title for title in titles if not fresh or _has_no_label(projects.get(title)))
    project = projects.get(title) or label_studio.create_project(title, LABEL_CONFIG)
    project_id = int(project["id"])
    shown = _digits_shown(label_studio, project_id)
    missing = [digit for digit in digits if digit not in shown.values()]
    for start in range(0, len(missing), FILES_PER_UPLOAD):
        _upload(
            browser, f"{label_studio.url}/api/projects/{project_id}/import", missing[start : start + FILES_PER_UPLOAD]
        )
    if missing:
        shown = _digits_shown(label_studio, project_id)
    targets = load_digits().target
    return Demo(project_id, {task: str(targets[digit]) for task, digit in shown.items()})


def _played_titles() -> Iterator[str]:
    yield PLAYED_TITLE
    yield from (f"{PLAYED_TITLE} ({number})" for number in count(2))


def _has_no_label(project: dict[str, Any] | None) -> bool:
    return project is None or not project["total_annotations_number"]


def _digits_shown(label_studio: LabelStudio, project_id: int) -> dict[int, int]:
    """Index of the digit by task id."""
    tasks = ((task["id"], _FILE.search(str(task["data"].get("image")))) for task in label_studio.tasks(project_id))
    return {task: int(match[1]) for task, match in tasks if match}


def _upload(browser: requests.Session, address: str, digits: Sequence[int]) -> None:
    files = {f"file-{digit}": (f"digit-{digit:04}.png", picture(digit), "image/png") for digit in digits}
    answer = browser.post(address, files=files, timeout=UPLOAD_TIMEOUT)
    if not answer.ok:
        raise LabelStudioRejected(
            f"Label Studio did not take the images of the demo project: {answer.text[:500]}", answer.status_code
        )


def picture(digit: int) -> bytes:
    """One digit as PNG, enlarged from its 8 x 8 pixels so that a person can read it."""
    import numpy as np
    from PIL import Image

    grey = (255 - load_digits().images[digit] * (255 / 16)).astype(np.uint8)
    encoded = BytesIO()
    Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(encoded, "PNG")
    return encoded.getvalue()


@lru_cache(maxsize=1)
def load_digits() -> Any:
    """scikit-learn's digits, read once."""
    from sklearn import datasets

    return datasets.load_digits()

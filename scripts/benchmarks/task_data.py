"""The data sets of `tasks`: what annotators would be shown, what they would answer, and what models are judged on."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from benchmarks.label_data import DATA, Missing, banking_questions
from labelloop.records import (
    Attribute,
    AttributesTarget,
    Box,
    BoxesTarget,
    ClassTarget,
    Kind,
    Mask,
    MasksTarget,
    Modality,
    SetTarget,
    Span,
    SpansTarget,
    Target,
    TextTarget,
    parts_of,
)

NUCLEI_SIDE = 128
MOST_STARS = 4
_NO_TOKEN = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Task:
    """A data set of one kind of task.

    Attributes:
        name: what the table calls it.
        kind: which learner learns it.
        modality: what an item shows.
        classes: the classes there are.
        items: encoded images or texts of the pool.
        targets: what people would say of each.
        test_items: those that nothing is trained on.
        test_targets: what people would say of those.
        budgets: numbers of labels at which models are judged, ascending.
    """

    name: str
    kind: Kind
    modality: Modality
    classes: tuple[str, ...]
    items: Sequence[Any]
    targets: Sequence[Any]
    test_items: Sequence[Any]
    test_targets: Sequence[Any]
    budgets: tuple[int, ...]


def bccd() -> Task:
    """Blood cells: 205 images to label, 72 to judge on."""
    root = _folder("detection/bccd")

    def part(name: str) -> list[tuple[bytes, BoxesTarget]]:
        names = (root / "ImageSets" / "Main" / f"{name}.txt").read_text().split()
        return [
            ((root / "JPEGImages" / f"{one}.jpg").read_bytes(), _boxes(root / "Annotations" / f"{one}.xml"))
            for one in names
        ]

    train, test = part("train"), part("test")
    return Task(
        "bccd",
        Kind.BOXES,
        Modality.IMAGE,
        ("Platelets", "RBC", "WBC"),
        *_apart(train),
        *_apart(test),
        (10, 20, 50, 100),
    )


def nuclei() -> Task:
    """Cell nuclei at 128 pixels: 30 images to label, the other 35 to judge on; the split is drawn once."""
    root = _folder("segmentation/nuclei")
    found = [_nuclei(path, root / "masks" / path.name) for path in sorted((root / "images").iterdir())]
    train, test = _drawn(found, 30)
    return Task("nuclei", Kind.MASKS, Modality.IMAGE, ("nucleus",), *_apart(train), *_apart(test), (5, 10, 20, 30))


def ncbi() -> Task:
    """Diseases in sentences of abstracts."""
    root = _folder("ner/ncbi_disease") / "conll"
    train, test = list(sentences(root / "train.tsv")), list(sentences(root / "test.tsv"))
    return Task("ncbi", Kind.SPANS, Modality.TEXT, ("Disease",), *_apart(train), *_apart(test), (100, 300, 1000))


def wnut() -> Task:
    """Names of six types in noisy texts."""
    root = _folder("ner/wnut17")
    train, test = list(sentences(root / "wnut17train.conll")), list(sentences(root / "emerging.test.annotated"))
    classes = tuple(sorted({span.label for _, target in train for span in target.spans}))
    return Task("wnut17", Kind.SPANS, Modality.TEXT, classes, *_apart(train), *_apart(test), (100, 300, 1000))


def tatoeba() -> Task:
    """English sentences and their Chinese translations; one translation of each sentence."""
    lines = (_folder("translation/tatoeba_en_zh") / "cmn.txt").read_text(encoding="utf-8").splitlines()
    pairs = {source: target for source, target, *_ in (line.split("\t") for line in lines)}
    found = [(source, TextTarget((target,))) for source, target in pairs.items()]
    train, test = _drawn(found, 5000)
    return Task("tatoeba", Kind.TEXT, Modality.TEXT, (), *_apart(train), *_apart(test[:500]), (100, 500, 2000))


def trashnet5() -> Task:
    """Photographs of waste, five classes; two in three to label, drawn once."""
    found = [
        (path.read_bytes(), ClassTarget(path.parent.name))
        for path in sorted(_folder("images/trashnet5").glob("*/*.jpg"))
    ]
    train, test = _drawn(found, 2 * len(found) // 3)
    classes = tuple(sorted({target.label for _, target in found}))
    return Task("trashnet5", Kind.CLASS, Modality.IMAGE, classes, *_apart(train), *_apart(test), (40, 160, 320))


def banking77() -> Task:
    """Questions to a bank, each with one of 77 intents."""
    train, test = (
        [(text, ClassTarget(intent)) for text, intent in banking_questions(which)] for which in ("train", "test")
    )
    classes = tuple(sorted({target.label for _, target in train}))
    return Task("banking77", Kind.CLASS, Modality.TEXT, classes, *_apart(train), *_apart(test), (154, 616, 1232))


def of_regions(task: Task) -> Task:
    """What a data set's regions are, where their places are known; items without a region are left out."""
    train, test = (
        [(item, _said_of(target)) for item, target in zip(items, targets, strict=True) if parts_of(target)]
        for items, targets in ((task.items, task.targets), (task.test_items, task.test_targets))
    )
    return replace(
        task,
        name=f"{task.name}_attributes",
        kind=Kind.ATTRIBUTES,
        items=_apart(train)[0],
        targets=_apart(train)[1],
        test_items=_apart(test)[0],
        test_targets=_apart(test)[1],
        budgets=tuple(min(budget, len(train)) for budget in task.budgets),
    )


def types_named(task: Task) -> Task:
    """Which of the classes of a data set of spans each text names: any number of them, for the whole text."""
    return _about_whole(task, f"{task.name}_sets", Kind.SET, task.classes, lambda target: SetTarget(target.classes))


def names_counted(task: Task) -> Task:
    """How many spans each text of such a data set has, as stars: one for none, four for three or more."""

    def stars(target: SpansTarget) -> ClassTarget:
        return ClassTarget(str(1 + min(len(target.spans), MOST_STARS - 1)))

    classes = tuple(str(number + 1) for number in range(MOST_STARS))
    return _about_whole(task, f"{task.name}_ratings", Kind.RATING, classes, stars)


TASKS: dict[str, Callable[[], Task]] = {
    "bccd": bccd,
    "nuclei": nuclei,
    "ncbi": ncbi,
    "wnut17": wnut,
    "tatoeba": tatoeba,
    "trashnet5": trashnet5,
    "banking77": banking77,
    "bccd_attributes": lambda: of_regions(bccd()),
    "wnut17_sets": lambda: types_named(wnut()),
    "wnut17_ratings": lambda: names_counted(wnut()),
    "wnut17_attributes": lambda: of_regions(wnut()),
}


def measure_each(measure: Callable[[Task], dict[str, Any]]) -> dict[str, Any]:
    """What is measured of every data set named in TASKS_SETS, or of all; one that is not on this machine is skipped."""
    figures: dict[str, Any] = {}
    for name in os.environ.get("TASKS_SETS", ",".join(TASKS)).split(","):
        try:
            figures[name] = measure(TASKS[name]())
        except Missing as error:
            figures[name] = {"skipped": str(error)}
    return figures


def _folder(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        raise Missing(f"{folder} is not on this machine")
    return folder


def _drawn(found: Sequence[tuple[Any, Any]], count: int) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
    """So many of them and the rest, drawn once."""
    order = np.random.default_rng(0).permutation(len(found)).tolist()
    return [found[i] for i in order[:count]], [found[i] for i in order[count:]]


def _apart(found: Sequence[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    return [item for item, _ in found], [target for _, target in found]


def _about_whole(
    task: Task, name: str, kind: Kind, classes: tuple[str, ...], answer: Callable[[SpansTarget], Any]
) -> Task:
    targets, test_targets = ([answer(target) for target in some] for some in (task.targets, task.test_targets))
    return replace(task, name=name, kind=kind, classes=classes, targets=targets, test_targets=test_targets)


def _said_of(target: BoxesTarget | SpansTarget) -> AttributesTarget:
    told: list[Attribute[Target]] = [
        Attribute(replace(part, label="region"), ClassTarget(part.label)) for part in parts_of(target)
    ]
    return AttributesTarget(tuple(told))


def _boxes(path: Path) -> BoxesTarget:
    root = ElementTree.parse(path).getroot()  # noqa: S314 - a file of the data set
    width, height = (int(root.findtext(f"size/{name}", "0")) for name in ("width", "height"))
    boxes = []
    for one in root.iter("object"):
        left, top, right, bottom = (int(one.findtext(f"bndbox/{n}", "0")) for n in ("xmin", "ymin", "xmax", "ymax"))
        if right > left and bottom > top:
            label = one.findtext("name", "")
            boxes.append(Box(label, left / width, top / height, (right - left) / width, (bottom - top) / height))
    return BoxesTarget(tuple(boxes))


def _nuclei(image: Path, mask: Path) -> tuple[bytes, MasksTarget]:
    import io

    small = io.BytesIO()
    size = (NUCLEI_SIDE, NUCLEI_SIDE)
    Image.open(image).convert("RGB").resize(size, Image.Resampling.BILINEAR).save(small, "PNG")
    inside = np.asarray(Image.open(mask).convert("L").resize(size, Image.Resampling.BILINEAR)) > 127
    return small.getvalue(), MasksTarget((Mask.of("nucleus", inside),) if inside.any() else ())


def sentences(path: Path) -> Iterator[tuple[str, SpansTarget]]:
    """Sentences of a file of one token and its BIO tag a line, with a line without a token between two sentences; tokens are joined
    by blanks.
    """
    for block in _NO_TOKEN.split(path.read_text(encoding="utf-8").replace("\r", "")):
        rows = [line.split("\t") for line in block.split("\n") if line.strip()]
        if rows:
            yield _sentence([row[0] for row in rows], [row[-1].strip() for row in rows])


def _sentence(tokens: Sequence[str], tags: Sequence[str]) -> tuple[str, SpansTarget]:
    starts = np.cumsum([0, *(len(token) + 1 for token in tokens)])
    spans: list[Span] = []
    for place, tag in enumerate(tags):
        label, end = tag[2:], int(starts[place]) + len(tokens[place])
        if tag.startswith("I-") and spans and spans[-1].label == label and tags[place - 1] != "O":
            spans[-1] = Span(label, spans[-1].start, end)
        elif tag != "O":
            spans.append(Span(label, int(starts[place]), end))
    return " ".join(tokens), SpansTarget(tuple(spans))

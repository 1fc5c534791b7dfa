"""No figure is told of near-duplicates of what was learnt: each kind is given labels that can only be known by heart, and copies."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labelloop.labelstudio import ProjectKey, TaskRecord
from labelloop.learning import (
    BackboneSpec,
    BoxesLearner,
    ClassificationLearner,
    Dense,
    DenseBackbone,
    Figures,
    GeneratedTextLearner,
    Learner,
    MasksLearner,
    Parts,
    TextLearner,
    Training,
    TrainingOptions,
    load_backbone,
    resolve_backbone,
)
from labelloop.learning.backbones.outputs import pack_outputs
from labelloop.learning.backbones.plain_texts import PlainTexts
from labelloop.learning.backbones.plain_tokens import PlainTokens
from labelloop.learning.boxes import learner as boxes_learner
from labelloop.learning.boxes.decoding import Candidates
from labelloop.learning.evaluation import Metrics
from labelloop.learning.masks import lessons as masks_lessons
from labelloop.learning.preparation import near_duplicate_groups
from labelloop.learning.ratings import RatingLearner
from labelloop.learning.sets import SetLearner
from labelloop.learning.spans import SpanLearner, fitting
from labelloop.records import (
    Box,
    BoxesTarget,
    ClassTarget,
    Control,
    Kind,
    Mask,
    MasksTarget,
    Modality,
    SetTarget,
    Span,
    SpansTarget,
    TextTarget,
)
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.training import train_control
from labelloop.service.versions import LearnerRecord
from labelloop.settings import Settings

STRANGERS, COPIES = 30, 10
PICTURES, COPIED = 16, 5


def _word(chance: np.random.Generator) -> str:
    return "".join(chance.choice(list("abcdefghijklmnopqrstuvwxyz"), 6))


def _texts(seed: int = 0) -> list[str]:
    """Texts without a word in common, and some of them again with another last word."""
    chance = np.random.default_rng(seed)
    texts = [" ".join(_word(chance) for _ in range(14)) for _ in range(STRANGERS)]
    return texts + [f"{text.rsplit(' ', 1)[0]} {_word(chance)}" for text in texts[:COPIES]]


def _pictures() -> list[bytes]:
    """Pictures of noise, and some of them again, brightened or compressed anew."""
    chance = np.random.default_rng(1)
    small = [Image.fromarray(chance.integers(0, 255, (8, 8, 3), dtype=np.uint8)) for _ in range(PICTURES)]
    pictures = [picture.resize((64, 64), Image.Resampling.BICUBIC) for picture in small]
    brighter = [picture.point(lambda value: min(255, int(value * 1.03) + 3)) for picture in pictures[:COPIED]]
    return [_file(one, "PNG") for one in pictures] + [
        _file(one, "WEBP" if number % 2 else "PNG") for number, one in enumerate(brighter)
    ]


def _file(picture: Image.Image, kind: str) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


def _maps() -> tuple[np.ndarray, list[Dense]]:
    spec = BackboneSpec(Modality.IMAGE, "plain", parts=Parts.MAP)
    backbone: DenseBackbone = load_backbone(spec, resolve_backbone(spec))  # type: ignore[assignment]
    rows, maps = backbone.embed_dense(_pictures())
    return rows, list(maps)


def _told(
    kind: type[Learner], inputs: Any, rows: np.ndarray, targets: Sequence[Any], classes: Sequence[str], different: int
) -> tuple[Any, Any, Any]:
    """Figures without the copies, with them where nobody says that they are copies, and where it is said."""
    groups = near_duplicate_groups(rows)
    assert groups.tolist() == [*range(different), *range(len(rows) - different)]
    options = TrainingOptions(semi_supervised="none")

    def figures(count: int, known: np.ndarray | None) -> Any:
        return kind.train(Training(inputs[:count], targets[:count], classes, options=options, groups=known)).cv_metrics

    return figures(different, None), figures(len(rows), None), figures(len(rows), groups)


def _is_honest(told: tuple[Any, Any, Any], value: Callable[[Any], float], more: float) -> None:
    honest, poisoned, grouped = told
    assert value(poisoned) > value(honest) + more
    assert abs(value(grouped) - value(honest)) < more / 2


def _value(figures: Figures) -> float:
    return figures.value


def _accuracy(metrics: Metrics) -> float:
    return metrics.accuracy


def test_figures_of_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "FEWEST_STEPS", 60)
    monkeypatch.setattr(fitting, "PASSES", 8)
    chance, texts = np.random.default_rng(2), _texts()
    starts = [7 * int(chance.integers(13)) for _ in range(STRANGERS)]
    targets = [SpansTarget((Span("PER", start, start + 6),)) for start in [*starts, *starts[:COPIES]]]
    rows, tokens = PlainTokens().embed_dense(texts)

    told = _told(SpanLearner, tokens, rows, targets, ["PER"], STRANGERS)

    _is_honest(told, _value, 0.2)
    assert told[2].items == STRANGERS


def test_figures_of_texts() -> None:
    rows, answers = PlainTexts().embed(_texts()), _texts(3)[:STRANGERS]
    targets = [TextTarget((answer,)) for answer in [*answers, *answers[:COPIES]]]

    told = _told(TextLearner, rows, rows, targets, [], STRANGERS)

    _is_honest(told, _value, 0.2)
    assert told[2].items == STRANGERS


def test_figures_of_a_model_that_writes_beside_a_memory() -> None:
    rows, answers = PlainTexts().embed(_texts()), _texts(3)[:STRANGERS]
    targets = [TextTarget((answer,)) for answer in [*answers, *answers[:COPIES]]]
    written = [pack_outputs(row, ["nothing like it"], [-3.0], taught=False) for row in rows]

    told = _told(GeneratedTextLearner, written, rows, targets, [], STRANGERS)

    _is_honest(told, _value, 0.2)
    assert told[2].items == STRANGERS


def test_figures_of_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, (rows, maps) = np.random.default_rng(4), _maps()
    places = chance.uniform(0, 0.7, (PICTURES, 2)).tolist()
    targets = [BoxesTarget((Box("cell", x, y, 0.25, 0.25),)) for x, y in [*places, *places[:COPIED]]]

    def by_heart(grids: Sequence[np.ndarray], truths: Sequence[Any], *_: object) -> Any:
        return list(grids), list(truths)

    def nearest(head: Any, grid: np.ndarray) -> Candidates:
        truth = head[1][int(np.argmin([np.square(known - grid).sum() for known in head[0]]))]
        return Candidates(truth.corners, truth.columns, np.full(len(truth.columns), 2.0))

    monkeypatch.setattr(boxes_learner, "fit_head", by_heart)
    monkeypatch.setattr(boxes_learner, "_find", nearest)
    told = _told(BoxesLearner, maps, rows, targets, ["cell"], PICTURES)

    _is_honest(told, _value, 0.1)
    assert told[2].items == PICTURES


def test_figures_of_areas(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, (rows, maps) = np.random.default_rng(5), _maps()
    targets = []
    for row, column in chance.integers(0, 44, (PICTURES, 2)).tolist():
        area = np.zeros((64, 64), dtype=bool)
        area[row : row + 20, column : column + 20] = True
        targets.append(MasksTarget((Mask.of("cell", area),)))
    targets += targets[:COPIED]

    def by_heart(lessons: Sequence[Any], *_: object) -> Any:
        def nearest(levels: Sequence[np.ndarray], _: object) -> np.ndarray:
            far = [np.square(one.levels[0].astype(np.float32) - levels[0]).sum() for one in lessons]
            return 8 * lessons[int(np.argmin(far))].coverage.astype(np.float32)

        return nearest

    monkeypatch.setattr(masks_lessons, "fit_head", by_heart)
    monkeypatch.setattr(masks_lessons, "averaged", lambda heads: masks_lessons.MaskHead({}))
    told = _told(MasksLearner, maps, rows, targets, ["cell"], PICTURES)

    _is_honest(told, _value, 0.06)
    assert told[2].items == PICTURES


def test_figures_of_classes() -> None:
    rows, chance = PlainTexts().embed(_texts()), np.random.default_rng(6)
    labels = [ClassTarget("ab"[int(chance.integers(2))]) for _ in range(STRANGERS)]

    _is_honest(_told(ClassificationLearner, rows, rows, labels + labels[:COPIES], "ab", STRANGERS), _accuracy, 0.12)


def test_figures_of_sets() -> None:
    rows, chance = PlainTexts().embed(_texts()), np.random.default_rng(7)
    sets = [SetTarget(("abcdef"[int(chance.integers(6))],)) for _ in range(STRANGERS)]

    _is_honest(_told(SetLearner, rows, rows, sets + sets[:COPIES], "abcdef", STRANGERS), _value, 0.1)


def test_figures_of_ratings() -> None:
    rows, chance = PlainTexts().embed(_texts()), np.random.default_rng(8)
    stars = [ClassTarget(str(chance.integers(1, 4))) for _ in range(STRANGERS)]

    _is_honest(_told(RatingLearner, rows, rows, stars + stars[:COPIES], "123", STRANGERS), _value, 0.1)


def test_a_round_says_what_near_duplicates_there_are(tmp_path: Path) -> None:
    """The groups that the holdout goes by are those that the folds go by."""
    control = Control("answer", "TextArea", "text", "text", Modality.TEXT, (), kind=Kind.TEXT)
    spec = BackboneSpec(Modality.TEXT, "plain")
    context = Context(Settings(data_dir=tmp_path, holdout_from=1000))
    project = context.projects.register(ProjectKey(1, 1), "", "texts")
    resolved = resolve_backbone(spec)
    record = LearnerRecord(control, (), "", spec, resolved)
    tasks = [TaskRecord(number, {"text": text}, "2026") for number, text in enumerate(_texts())]
    targets = {task.id: TextTarget((text,)) for task, text in zip(tasks, _texts(3), strict=True)}
    embedder = Embedder(context, project, control, spec, resolved, {})

    candidate = train_control(record, tasks, targets, embedder, {}, None, context.settings, lambda *_: None)

    assert candidate.record.labels == STRANGERS + COPIES
    assert candidate.record.cv_metrics is not None
    assert candidate.record.cv_metrics.items == STRANGERS

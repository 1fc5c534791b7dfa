"""One control's training: what is held out stays out, the gate compares on the same items, what is broken is left aside."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelloop.errors import NotEnoughLabels
from labelloop.labelstudio import TaskRecord
from labelloop.learning import BackboneSpec, ClassificationLearner, resolve_backbone
from labelloop.learning.recipes import AUTO
from labelloop.records import ClassTarget, Control, Kind, Modality, SetTarget, Target
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.training import Candidate, Incumbent, train_control
from labelloop.service.versions import LearnerRecord
from labelloop.settings import Settings
from support.annotating import sentences

CONTROL = Control("topic", "Choices", "text", "text", Modality.TEXT, ("weather", "food", "travel"))
SPEC = BackboneSpec(Modality.TEXT, "plain")


class Bench:
    """A project of texts without any Label Studio."""

    def __init__(self, folder: Path, count: int = 90, spec: BackboneSpec = SPEC) -> None:
        self.settings = Settings(data_dir=folder, holdout_share=0.2, holdout_from=10, holdout_min=5)
        context = Context(self.settings)
        self.project = context.projects.register(_key(), "", "texts")
        resolved = resolve_backbone(spec)
        self.record = LearnerRecord(CONTROL, CONTROL.labels, "", spec, resolved)
        self.embedder = Embedder(context, self.project, CONTROL, spec, resolved, {})
        texts = sentences(count)
        self.tasks = [TaskRecord(i, {"text": text}, "2026") for i, (text, _) in enumerate(texts)]
        self.targets = {i: ClassTarget(topic) for i, (_, topic) in enumerate(texts)}

    def train(
        self,
        count: int,
        sides: dict[str, bool] | None = None,
        incumbent: Incumbent | None = None,
        pool: Sequence[TaskRecord] = (),
        targets: Mapping[int, Target] | None = None,
    ) -> Candidate:
        targets = {i: (targets or self.targets)[i] for i in range(count)}
        return train_control(
            self.record,
            self.tasks[:count],
            targets,
            self.embedder,
            sides or {},
            incumbent,
            self.settings,
            _silent,
            pool,
        )


def _key() -> object:
    from labelloop.labelstudio import ProjectKey

    return ProjectKey(1, 1)


def _silent(step: str, done: int, total: int) -> None:
    return


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_share_is_held_out_and_judged_on(bench: Bench) -> None:
    candidate = bench.train(60)
    assert candidate.record.holdout == 12
    assert candidate.record.labels == 48
    assert candidate.record.metrics is not None
    assert candidate.record.metrics.items == 12
    assert candidate.decision.accepted


def test_what_was_held_out_stays_out_as_labels_come(bench: Bench) -> None:
    first = bench.train(40)
    second = bench.train(90, sides=first.sides)
    held = {content for content, side in first.sides.items() if side}
    assert held
    assert all(second.sides[content] for content in held)
    trained = {content for content, side in first.sides.items() if not side}
    assert not any(second.sides[content] for content in trained)


def test_equal_texts_stand_on_one_side(bench: Bench) -> None:
    for task in bench.tasks[:30]:
        bench.tasks[task.id + 30] = TaskRecord(task.id + 30, dict(task.data), "2026")
        bench.targets[task.id + 30] = bench.targets[task.id]
    candidate = bench.train(60)
    assert len(candidate.sides) == 30
    assert candidate.record.holdout % 2 == 0


def test_a_worse_candidate_is_refused_with_the_figures(bench: Bench) -> None:
    first = bench.train(60)
    incumbent = Incumbent(first.learner, bench.embedder)
    wrong = {i: ClassTarget(CONTROL.labels[(CONTROL.labels.index(t.label) + 1) % 3]) for i, t in bench.targets.items()}
    held = {content for content, side in first.sides.items() if side}
    contents = dict(zip(range(60), bench.embedder.cached(bench.tasks[:60]).contents, strict=True))
    bench.targets = {i: bench.targets[i] if contents.get(i) in held else wrong[i] for i in bench.targets}
    second = bench.train(60, sides=first.sides, incumbent=incumbent)
    assert not second.decision.accepted
    assert "held-out labels" in second.decision.reason


def test_one_class_is_not_enough(bench: Bench) -> None:
    bench.targets = {i: ClassTarget("food") for i in bench.targets}
    with pytest.raises(NotEnoughLabels):
        bench.train(20)


def test_a_task_without_its_data_is_set_aside_and_the_rest_trained_on(bench: Bench) -> None:
    bench.tasks[3] = TaskRecord(3, {"other": "x"}, "2026")
    bench.tasks[4] = TaskRecord(4, {"text": ""}, "2026")
    candidate = bench.train(60)
    assert candidate.broken.keys() == {(3, "text:text"), (4, "text:text")}
    assert "no 'text' in its data" in candidate.broken[3, "text:text"].reason
    assert "3" not in candidate.labels
    assert candidate.record.labels + candidate.record.holdout == 58


def test_a_version_survives_being_written_and_read(bench: Bench) -> None:
    candidate = bench.train(60)
    again = ClassificationLearner.from_arrays(candidate.learner.arrays(), candidate.record.meta)
    features = bench.embedder.cached(bench.tasks).features
    assert [p.label for p in again.predict(features)] == [p.label for p in candidate.learner.predict(features)]


def test_the_pool_is_learnt_from_as_far_as_it_has_features(bench: Bench) -> None:
    bench.embedder.embed(bench.tasks[:70], _silent)
    candidate = bench.train(40, pool=bench.tasks[40:])
    again = bench.train(40, pool=bench.tasks[40:])
    choice = candidate.record.meta["choice"]

    assert [comparison["name"] for comparison in choice["comparisons"]] == [*AUTO, "kernel", "blend"]
    assert choice["reason"]
    assert candidate.record.meta == again.record.meta


def test_settings_decide_what_is_trained(bench: Bench) -> None:
    bench.embedder.embed(bench.tasks, _silent)
    bench.settings = bench.settings.model_copy(update={"semi_supervised": "none", "ensemble": ["svm", "knn"]})
    choice = bench.train(40, pool=bench.tasks[40:]).record.meta["choice"]

    assert [comparison["name"] for comparison in choice["comparisons"]] == ["kernel", "ensemble"]


def test_what_is_wrong_with_the_labels_is_told_and_handled(bench: Bench) -> None:
    bench.tasks[31] = TaskRecord(31, dict(bench.tasks[1].data), "2026")
    bench.targets[31] = bench.targets[1]
    bench.tasks[32] = TaskRecord(32, dict(bench.tasks[2].data), "2026")
    bench.targets[32] = ClassTarget(next(label for label in CONTROL.labels if label != bench.targets[2].label))
    candidate = bench.train(60)
    told = " ".join(candidate.findings)
    assert "topic: 2 items with the same content as an earlier one. The first is kept. Tasks 31, 32." in told
    assert "2 items with the same content under different labels" in told
    assert candidate.record.labels + candidate.record.holdout == 57
    assert len(candidate.labels) == 60


def test_copies_under_a_multiple_choice_are_handled_alike(bench: Bench) -> None:
    control = replace(CONTROL, kind=Kind.SET)
    bench.record = replace(bench.record, control=control)
    said = {number: SetTarget((target.label,)) for number, target in bench.targets.items()}
    for copy, source in ((31, 1), (32, 2), (33, 2), (34, 3)):
        bench.tasks[copy] = TaskRecord(copy, dict(bench.tasks[source].data), "2026")
        said[copy] = said[source]
    said[2], said[34] = SetTarget(("food", "travel")), SetTarget(())
    candidate = bench.train(60, targets=said)
    told = " ".join(candidate.findings)

    assert "topic: 4 items with the same content as an earlier one. The first is kept. Tasks 31, 32, 33 …." in told
    assert "5 items with the same content under different labels" in told
    assert "classes have fewer" not in told
    assert candidate.record.labels + candidate.record.holdout == 60 - 4 - 1
    assert candidate.labels["2"] == said[32].summary


def test_joined_backbones_are_trained_block_by_block(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec=BackboneSpec(Modality.TEXT, "plain+plain"))
    bench.settings = bench.settings.model_copy(update={"ensemble": ["logistic"]})
    candidate = bench.train(60)
    assert candidate.record.meta["blocks"] == list(bench.record.backbone.blocks)
    assert len(set(candidate.record.backbone.blocks)) == 1


def test_what_lies_deeper_in_the_data_is_embedded_as_what_lies_at_the_top(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 3)
    deep = replace(CONTROL, data_key="doc[0].text")
    embedder = Embedder(Context(bench.settings), bench.project, deep, SPEC, resolve_backbone(SPEC), {})
    tasks = [TaskRecord(task.id, {"doc": [task.data]}, task.updated_at) for task in bench.tasks]
    found = embedder.embed(tasks, _silent)
    assert not found.broken
    np.testing.assert_array_equal(found.features, bench.embedder.embed(bench.tasks, _silent).features)

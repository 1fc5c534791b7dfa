"""Learning from unlabelled items: they move the student, and never the teacher by a gradient."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning import BackboneSpec
from labelloop.learning.tuning import TuneOptions, fine_tune

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from labelloop.learning.tuning.criteria import OneClass  # noqa: E402
from labelloop.learning.tuning.media import open_medium  # noqa: E402
from labelloop.learning.tuning.methods import MeanTeacher, PseudoLabel  # noqa: E402
from labelloop.learning.tuning.model import Model, parameter_groups  # noqa: E402
from labelloop.learning.tuning.shelves import Shelf  # noqa: E402
from labelloop.learning.tuning.steps import Labelled, Steps  # noqa: E402
from support.tuning_bench import CLASSES, digit_images, lesson, made_weights, spec_for  # noqa: E402

QUICK = TuneOptions(epochs=2, batch=16, head_rate=3e-3, backbone_rate=3e-3, ramp_up=0.0, confidence=0.3, threads=1)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> BackboneSpec:
    return spec_for(made_weights(tmp_path_factory.mktemp("made")))


def _steps(
    spec: BackboneSpec, method: str, labelled_weight: float, unlabelled: int = 24, broken: bool = False, **more: Any
) -> tuple[Model, Steps]:
    torch.manual_seed(0)
    medium = open_medium(spec)
    model = Model(medium.network, medium.dim, len(CLASSES))
    with torch.no_grad():
        model.head.weight.mul_(20)
    items, targets = digit_images(16)
    said = np.array([[label == target.label for label in CLASSES] for target in targets], dtype=np.float32)
    train = Labelled(Shelf([b"broken"] * 16 if broken else items, medium.open), said, np.full(16, labelled_weight))
    pool, _ = digit_images(unlabelled, first=200)
    return model, Steps(
        medium,
        model,
        train,
        Shelf(pool, medium.open),
        replace(QUICK, method=method, weight_decay=0.0, **more),
        OneClass(),
    )


def _state(model: Model) -> dict[str, Any]:
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters()}


@pytest.mark.parametrize("method", ["mean_teacher", "pseudo_label"])
def test_unlabelled_items_alone_move_every_part_of_the_student(spec: BackboneSpec, method: str) -> None:
    model, steps = _steps(spec, method, labelled_weight=0.0)
    before = _state(model)
    for number in range(3):
        steps.step(number, 10)
    moved = {name for name, tensor in _state(model).items() if not torch.equal(tensor, before[name])}

    assert "head.weight" in moved
    assert any("conv" in name or "branch" in name for name in moved)
    assert any(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in model.network.parameters())


@pytest.mark.parametrize("method", ["mean_teacher", "pseudo_label"])
def test_unlabelled_items_teach_every_layer_in_half_precision_too(spec: BackboneSpec, method: str) -> None:
    model, steps = _steps(spec, method, labelled_weight=0.0)
    steps._half = torch.bfloat16
    for number in range(3):
        steps.step(number, 10)
    layers = [model.head.weight, *(tensor for tensor in model.network.parameters() if tensor.ndim > 1)]

    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in layers)


@pytest.mark.parametrize("method", ["supervised", "mean_teacher", "pseudo_label"])
def test_without_unlabelled_items_and_weight_nothing_moves(spec: BackboneSpec, method: str) -> None:
    model, steps = _steps(spec, method, labelled_weight=0.0, unlabelled=0)
    before = _state(model)
    steps.step(0, 10)

    assert all(torch.equal(tensor, before[name]) for name, tensor in _state(model).items())


def test_the_teacher_follows_without_ever_getting_a_gradient(spec: BackboneSpec) -> None:
    model, steps = _steps(spec, "mean_teacher", labelled_weight=1.0)
    teacher = steps.judged
    before = _state(teacher)
    for number in range(3):
        steps.step(number, 10)

    assert teacher is not model
    assert all(tensor.grad is None and not tensor.requires_grad for tensor in teacher.parameters())
    moved = _state(teacher)
    assert any(not torch.equal(tensor, before[name]) for name, tensor in moved.items())
    far = (_state(model)["head.weight"] - before["head.weight"]).norm()
    assert 0 < (moved["head.weight"] - before["head.weight"]).norm() < far


def test_the_teachers_mean_is_the_one_that_is_meant(spec: BackboneSpec) -> None:
    medium = open_medium(spec)
    student = Model(medium.network, medium.dim, 2)
    method = MeanTeacher(student, decay=0.9)
    start = method.teacher.head.bias.detach().clone()
    with torch.no_grad():
        student.head.bias.add_(1.0)
    method.after_step(student, 1000)

    assert torch.allclose(method.teacher.head.bias, start + 0.1, atol=1e-6)


def test_classes_learnt_less_are_believed_sooner() -> None:
    method = PseudoLabel(3, 0.9, "cpu")
    assert method.thresholds().tolist() == pytest.approx([0.9] * 3)
    method.restore({"learnt": torch.tensor([10.0, 8.0, 0.0])})
    thresholds = method.thresholds().tolist()

    assert thresholds[0] == pytest.approx(0.9)
    assert thresholds[0] > thresholds[1] > thresholds[2] > 0.5


def test_an_unsure_student_teaches_itself_nothing(spec: BackboneSpec) -> None:
    medium = open_medium(spec)
    student = Model(medium.network, medium.dim, 5)
    with torch.no_grad():
        student.head.weight.zero_()
        student.head.bias.zero_()
    batch = medium.batch([medium.open(item)[0] for item in digit_images(4)[0]], "plain")

    assert PseudoLabel(5, 0.9, "cpu").loss(student, batch, batch).item() == 0.0


def test_accumulated_gradients_are_those_of_the_whole_batch(spec: BackboneSpec) -> None:
    models = []
    for at_once in (16, 5):
        model, steps = _steps(spec, "supervised", 1.0, at_once=at_once, augmentation="none")
        steps.step(0, 10)
        models.append(model)
    for whole, parts in zip(*(model.parameters() for model in models), strict=True):
        assert torch.allclose(whole.grad, parts.grad, rtol=1e-3, atol=1e-6)


def test_what_does_not_fit_is_done_in_smaller_parts(spec: BackboneSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    _, steps = _steps(spec, "supervised", 1.0, augmentation="none", at_once=16)
    whole, forward = [], Model.forward

    def cramped(self: Model, batch: Any) -> Any:
        whole.append(len(batch))
        if len(batch) > 5:
            raise RuntimeError("CUDA out of memory")
        return forward(self, batch)

    monkeypatch.setattr(Model, "forward", cramped)
    steps.step(0, 10)
    assert whole == [16, 8, 4, 4, 4, 4]
    monkeypatch.setattr(Model, "forward", lambda self, batch: (_ for _ in ()).throw(RuntimeError("out of memory")))
    with pytest.raises(LearningError, match="too little memory"):
        steps.step(1, 10)


def test_a_batch_of_which_nothing_can_be_read_is_passed_over_where_gradients_are_scaled(spec: BackboneSpec) -> None:
    model, steps = _steps(spec, "supervised", 1.0, broken=True)
    steps._scaler = torch.amp.GradScaler("cpu")
    before = _state(model)
    steps.step(0, 10)

    assert all(torch.equal(tensor, before[name]) for name, tensor in _state(model).items())


def test_what_a_processor_began_goes_on_where_gradients_are_scaled(spec: BackboneSpec) -> None:
    _, begun = _steps(spec, "supervised", 1.0)
    model, steps = _steps(spec, "supervised", 1.0)
    steps._scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    steps.restore(*begun.state())
    before = _state(model)
    steps.step(0, 10)

    assert steps.state()[1]["scale"] == 64.0
    assert not torch.equal(model.head.weight, before["head.weight"])


def test_the_head_answers_in_full_precision_where_the_network_does_not(spec: BackboneSpec) -> None:
    medium = open_medium(spec)
    model = Model(medium.network, medium.dim, len(CLASSES))
    features = torch.rand(7, medium.dim)
    expected = model.answer(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.answer(features), expected)


def test_batch_normalisation_keeps_its_statistics_and_learns_its_scale(spec: BackboneSpec) -> None:
    model, steps = _steps(spec, "supervised", labelled_weight=1.0)
    statistics = {name: tensor.clone() for name, tensor in model.named_buffers()}
    scales = {name: tensor for name, tensor in _state(model).items() if name.endswith("branch2.1.weight")}
    steps.step(0, 10)

    assert all(torch.equal(tensor, statistics[name]) for name, tensor in model.named_buffers())
    assert any(not torch.equal(dict(model.named_parameters())[name], tensor) for name, tensor in scales.items())


def test_deeper_layers_learn_faster_and_the_head_fastest(spec: BackboneSpec) -> None:
    medium = open_medium(spec)
    model = Model(medium.network, medium.dim, 5)
    rates = TuneOptions(head_rate=1e-2, backbone_rate=1e-3, first_layer_share=0.1, weight_decay=0.1)
    groups = parameter_groups(model.network, model.head, rates)
    rate_of = {id(parameter): group["rate"] for group in groups for parameter in group["params"]}
    rates = [rate_of[id(parameter)] for parameter in model.network.parameters()]

    assert rates == sorted(rates)
    assert (rates[0], rates[-1]) == (pytest.approx(1e-4), pytest.approx(1e-3))
    assert rate_of[id(model.head.weight)] == 1e-2
    assert len(rate_of) == len(list(model.parameters()))
    assert all(group["weight_decay"] == 0 for group in groups if group["params"][0].ndim == 1)


@pytest.mark.parametrize("method", ["mean_teacher", "pseudo_label"])
def test_methods_go_through_to_the_end(spec: BackboneSpec, tmp_path: Path, method: str) -> None:
    pool, _ = digit_images(20, first=200)
    found = fine_tune(spec, lesson(30, unlabelled=[*pool, b"broken"]), tmp_path, replace(QUICK, method=method))

    assert found is not None
    assert len(found.epochs) == 3

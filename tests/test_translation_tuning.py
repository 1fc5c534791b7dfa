"""A model that writes is fine-tuned within its budget, and chosen where it is expected to do better than the memory."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelloop.errors import LearningError, NotEnoughLabels, WeightsNotFound
from labelloop.learning import BackboneSpec, Dense, Parts, Training, load_backbone, resolve_backbone
from labelloop.learning.backbones import written_texts
from labelloop.learning.backbones.outputs import pack_outputs, read_outputs
from labelloop.learning.backbones.taught import TAUGHT, digest_of
from labelloop.learning.backbones.written_texts import PLAIN_OUTPUTS
from labelloop.learning.translation import GeneratedTextLearner
from labelloop.learning.translation import learner as translation_learner
from labelloop.learning.translation.measuring import chrf_of_each
from labelloop.learning.tuning import CheckpointFile, Conduct, Lesson, Tuned, TuneOptions, fine_tune_texts, spec_of
from labelloop.records import Modality, TextTarget
from support.writers import made_pairs, made_writer, writer_spec

pytest.importorskip("transformers")

OPTIONS = TuneOptions(epochs=12, batch=16, at_once=8, backbone_rate=1e-2, patience=12, threads=1, checkpoint_every=0)


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_writer(tmp_path_factory.mktemp("made") / "tiny-t5")


@pytest.fixture(scope="module")
def tuned(t5: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    folder = tmp_path_factory.mktemp("tuned")
    found = fine_tune_texts(writer_spec(t5), Lesson(*made_pairs(160)), folder, replace(OPTIONS, epochs=20))
    assert found is not None
    return found


def test_fine_tuning_lowers_the_loss_and_raises_the_share_of_right_tokens(tuned: Tuned) -> None:
    before, after = tuned.epochs[0], tuned.epochs[tuned.best]

    assert after.loss < before.loss / 2
    assert after.accuracy > before.accuracy + 0.2
    assert tuned.backbone.id != tuned.backbone.name
    assert "fine-tuned" in str(tuned)


def test_what_it_has_learnt_is_written(tuned: Tuned) -> None:
    texts, targets = made_pairs(200, seed=5)
    backbone = load_backbone(tuned.spec, tuned.backbone)
    rows, parts = backbone.embed_dense(texts[:30])  # type: ignore[attr-defined]
    outputs = [read_outputs(one) for one in parts]

    assert rows.shape == (30, 24)
    assert all(np.abs(one.row - row).max() < 0.01 for one, row in zip(outputs, rows, strict=True))
    assert np.abs(backbone.embed(texts[:30]) - rows).max() < 1e-5
    assert max(said for one in outputs for said in one.log_probabilities) <= 0
    assert all(list(one.log_probabilities) == sorted(one.log_probabilities, reverse=True) for one in outputs)
    shared = [
        set(one.texts[0].split()) & set(target.texts[0].split()) for one, target in zip(outputs, targets, strict=False)
    ]
    assert np.mean([bool(words) for words in shared]) > 0.8


def test_texts_it_was_taught_are_known_and_those_that_decided_are_not(tuned: Tuned) -> None:
    texts, _ = made_pairs(160)
    _, parts = load_backbone(tuned.spec, tuned.backbone).embed_dense([*texts, "of nobody"])  # type: ignore[attr-defined]
    taught = [read_outputs(one).taught for one in parts]

    assert sum(taught) == 160 - tuned.validation
    assert not taught[-1]
    assert set(json.loads((tuned.folder / TAUGHT).read_text())) <= {digest_of(text) for text in texts}


def test_the_learner_takes_the_model_where_it_is_better_than_the_memory(tuned: Tuned) -> None:
    texts, targets = made_pairs(160)
    backbone = load_backbone(tuned.spec, tuned.backbone)
    _, parts = backbone.embed_dense(texts)  # type: ignore[attr-defined]
    learner = GeneratedTextLearner.train(Training(parts, targets, ()))
    fresh, right = (side[160:200] for side in made_pairs(200))
    _, asked = backbone.embed_dense(fresh)  # type: ignore[attr-defined]
    said = learner.predict(asked)

    assert learner.cv_metrics is not None
    assert learner.cv_metrics.items == tuned.validation
    alone = [chrf_of_each([text], [target])[0] for text, target in zip(_first(asked), right, strict=True)]
    assert learner.quality(asked, right).mean() >= np.mean(alone)
    assert {one.text for one in said} & set(_first(asked)), "some are the model's"
    assert abs(np.mean([one.confidence for one in said]) - learner.quality(asked, right).mean()) < 0.2
    again = GeneratedTextLearner.from_arrays(learner.arrays(), learner.meta())
    assert again.predict(asked) == said
    assert again.cv_metrics == learner.cv_metrics


def _first(parts: list[Dense]) -> list[str]:
    return [read_outputs(one).texts[0] for one in parts]


def test_texts_that_are_cut_are_told_of(
    t5: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written_texts, "LONGEST", 8)
    spec = writer_spec(t5)
    backbone = load_backbone(spec, resolve_backbone(spec))
    backbone.embed(["a b", "a b c d e f g h i j k l m n o p", "b a"])

    assert "1 of 3 texts are longer than the 8 tokens" in caplog.text
    caplog.clear()
    backbone.embed(["a b", "b a"])
    assert not caplog.records


def test_marian_is_trained_the_same_way(tmp_path: Path) -> None:
    made = made_writer(tmp_path / "tiny-marian", "marian")
    found = fine_tune_texts(writer_spec(made), Lesson(*made_pairs(60)), tmp_path / "out", replace(OPTIONS, epochs=4))

    assert found is not None
    assert found.epochs[found.best].loss < found.epochs[0].loss
    _, (part,) = load_backbone(found.spec, found.backbone).embed_dense(["red cat"])  # type: ignore[attr-defined]
    assert read_outputs(part).texts


def test_gradients_accumulated_over_parts_are_those_of_the_whole(t5: Path, tmp_path: Path) -> None:
    import torch

    from labelloop.learning.backbones.written_texts import load_writer
    from labelloop.learning.tuning.writing import Pairs, WritingSteps

    texts, targets = made_pairs(16)
    weights = np.linspace(0.2, 1, 16)

    def stepped(at_once: int) -> list[torch.Tensor]:
        tokenizer, model = load_writer(t5, torch.device("cpu"))
        model.train = lambda mode=True: model  # without dropout, which draws otherwise for parts
        pairs = Pairs.of(tokenizer, texts, [target.texts[0] for target in targets], weights)
        WritingSteps(model, 0, pairs, replace(OPTIONS, at_once=at_once, warm_up_epochs=0)).step(0, 10)
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    for whole, parts in zip(stepped(16), stepped(3), strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)


def test_it_ends_within_its_budget_with_what_it_reached(t5: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=500, seconds=0.5)
    found = fine_tune_texts(writer_spec(t5), Lesson(*made_pairs(60)), tmp_path, options)

    assert found is not None
    assert found.ended == "budget"
    assert len(found.epochs) < 500


def test_giving_way_leaves_a_checkpoint_and_nothing_else(t5: Path, tmp_path: Path) -> None:
    keeper = CheckpointFile(tmp_path / "checkpoint")
    lesson = Lesson(*made_pairs(60))

    assert (
        fine_tune_texts(writer_spec(t5), lesson, tmp_path, OPTIONS, Conduct(keeper=keeper, give_way=lambda: True))
        is None
    )
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


def test_where_nothing_is_gained_nothing_counts_as_taught(t5: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=1, backbone_rate=0.0)
    found = fine_tune_texts(writer_spec(t5), Lesson(*made_pairs(20)), tmp_path, options)

    assert found is not None
    assert found.best == 0
    assert json.loads((found.folder / TAUGHT).read_text()) == []


def test_too_little_to_learn_is_named_so(t5: Path, tmp_path: Path) -> None:
    answer = TextTarget(("rot",))
    with pytest.raises(NotEnoughLabels, match="at least two different labelled items"):
        fine_tune_texts(writer_spec(t5), Lesson(["red", "red"], [answer, answer]), tmp_path, OPTIONS)
    with pytest.raises(LearningError, match="1 targets for 2 items"):
        fine_tune_texts(writer_spec(t5), Lesson(["red", "old"], [answer]), tmp_path, OPTIONS)


def test_without_a_model_the_memory_is_what_there_is(tmp_path: Path) -> None:
    spec = BackboneSpec(Modality.TEXT, "auto", offline=True, parts=Parts.OUTPUT)
    found = resolve_backbone(spec)
    texts, targets = made_pairs(30)
    _, parts = load_backbone(spec, found).embed_dense(texts)  # type: ignore[attr-defined]
    learner = GeneratedTextLearner.train(Training(parts, targets, (), unlabelled=parts[:3]))

    assert found.id == PLAIN_OUTPUTS.id
    assert "name one, such as Helsinki-NLP/opus-mt-en-de" in found.note
    assert learner.cv_metrics is None
    assert [one.text for one in learner.predict(parts)] == [target.texts[0] for target in targets]
    with pytest.raises(LearningError, match="no model that writes"):
        fine_tune_texts(spec, Lesson(texts, targets), tmp_path)


def test_a_model_that_is_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match="opus-mt-xx-yy"):
        resolve_backbone(writer_spec(Path("opus-mt-xx-yy")))
    (tmp_path / "config.json").write_text('{"d_model": 8, "is_encoder_decoder": false}')
    with pytest.raises(LearningError, match="is not a sequence-to-sequence model"):
        resolve_backbone(writer_spec(tmp_path))


def test_a_model_of_its_own_suggests_before_anything_is_answered() -> None:
    sure = pack_outputs(np.ones(4, np.float32), ["guten Tag", "Guten Tag"], [-0.05, -0.1], taught=False)
    unsure = pack_outputs(np.ones(4, np.float32), ["hm", "xyz"], [-3.0, -3.1], taught=False)
    learner = GeneratedTextLearner.train(Training([sure], [TextTarget(("guten Tag",))], ()))
    first, second = learner.predict([sure, unsure])

    assert first.text == "guten Tag"
    assert first.confidence > 0.7
    assert second.text == ""
    assert second.uncertainty > first.uncertainty
    untaught = GeneratedTextLearner.train(Training([], [], ()))
    assert untaught.predict([sure])[0].text == "guten Tag"
    assert untaught.cv_metrics is None
    kept = GeneratedTextLearner.from_arrays(untaught.arrays(), untaught.meta())
    assert kept.predict([sure, unsure]) == untaught.predict([sure, unsure])


def test_with_neither_model_nor_answers_nothing_can_be_learnt() -> None:
    empty = pack_outputs(np.ones(4, np.float32), [], [], taught=False)
    with pytest.raises(NotEnoughLabels, match="5 answered items are needed; there are 1"):
        GeneratedTextLearner.train(Training([empty], [TextTarget(("a",))], ()))


def test_outputs_it_was_taught_do_not_make_it_sure_of_itself() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    targets = [TextTarget((chr(0x4E00 + 7 * i) * 6,)) for i in range(40)]

    def parts(taught: bool) -> list[Dense]:
        return [pack_outputs(row, [t.texts[0]], [-0.2], taught=taught) for row, t in zip(rows, targets, strict=True)]

    wrong = [pack_outputs(row, ["qqq zzz"], [-0.2], taught=False) for row in rows[:10]]
    learner = GeneratedTextLearner.train(Training([*wrong, *parts(True)[10:]], targets, ()))
    asked = pack_outputs(rows[0] * -1, ["anything"], [-0.2], taught=False)

    assert learner.predict([asked])[0].confidence < 0.5
    assert GeneratedTextLearner.train(Training(parts(False), targets, ())).predict([asked])[0].confidence > 0.8


def test_a_copy_of_a_text_does_not_tell_how_well_it_is_answered() -> None:
    random = np.random.default_rng(0)
    targets = [TextTarget(("".join(random.choice(list("abcdefghijklmnop"), 30)),)) for _ in range(30)]
    parts = [pack_outputs(random.normal(size=16), ["no idea"], [-2.5], taught=False) for _ in targets]
    once, twice = (
        GeneratedTextLearner.train(Training(parts * n, targets * n, (), groups=np.tile(np.arange(30), n))).cv_metrics
        for n in (1, 2)
    )

    assert once is not None
    assert twice is not None
    assert twice.items == 30
    assert twice.value == pytest.approx(once.value, abs=0.05)


def test_of_many_long_answers_some_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation_learner, "JUDGED_CHARACTERS", 300)
    rows = np.random.default_rng(0).normal(size=(40, 8))
    targets = [TextTarget((f"this is answer number {number}",)) for number in range(40)]
    parts = [pack_outputs(row, ["an answer"], [-0.5], taught=False) for row in rows]
    found = GeneratedTextLearner.train(Training(parts, targets, ())).cv_metrics

    assert found is not None
    assert 5 < found.items < 15


def test_features_that_cannot_be_read_are_left_out_or_refused() -> None:
    row, nothing = np.ones(4, np.float32), Dense(np.zeros(0, np.float16), np.zeros(0, np.int32))
    good = pack_outputs(row, ["a"], [-0.1], taught=False)
    bad = pack_outputs(row * np.nan, ["a"], [-0.1], taught=False)
    learner = GeneratedTextLearner.train(Training([good, bad, nothing], [TextTarget(("a",))] * 3, ()))

    assert learner.quality([good, bad, nothing], [TextTarget(("a",))] * 3).tolist() == [1, 0, 0]
    assert learner.predict([]) == []
    for broken in (bad, nothing):
        with pytest.raises(LearningError, match="not finite"):
            learner.predict([good, broken])


def test_numbers_too_large_for_what_is_kept_are_held() -> None:
    large = pack_outputs(np.array([1e6, -1e6], np.float32), ["a"], [-1e9], taught=False)

    assert np.isfinite(large.values).all()
    assert GeneratedTextLearner.train(Training([], [], ())).predict([large])[0].text == ""


@pytest.mark.parametrize("texts", [[], [""], ["a", "bc"], ["Köln 🇩🇪 \ud800", "我"]])
def test_outputs_are_read_as_they_were_laid_out(texts: list[str]) -> None:
    row, said = np.array([0.5, -2.0], np.float32), [-0.5 * (i + 1) for i in range(len(texts))]
    found = read_outputs(pack_outputs(row, texts, said, taught=True))

    assert found.row.tolist() == row.tolist()
    assert found.texts == tuple(texts)
    assert list(found.log_probabilities) == said
    assert found.taught


def test_the_spec_of_a_tuned_model_is_the_folders(tuned: Tuned) -> None:
    assert spec_of(writer_spec(Path("x")), tuned.folder) == tuned.spec
    assert resolve_backbone(tuned.spec).id == tuned.backbone.id

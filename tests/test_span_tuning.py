"""An encoder is fine-tuned for spans within its budget, and kept as a backbone whose tokens the learner of spans reads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import BackboneSpec, Dense, Parts, Training, load_backbone, resolve_backbone
from labelloop.learning.backbones.taught import TAUGHT, digest_of
from labelloop.learning.backbones.tokens import unpack_tokens
from labelloop.learning.spans import SpanLearner
from labelloop.learning.tuning import TUNERS, CheckpointFile, Conduct, Lesson, Tuned, TuneOptions, fine_tune_spans
from labelloop.records import Kind, Modality, Span, SpansTarget
from support.encoders import CLASSES, encoder_spec, made_encoder, made_sentences

pytest.importorskip("sentence_transformers")

OPTIONS = TuneOptions(
    epochs=6, batch=8, at_once=8, backbone_rate=3e-3, head_rate=3e-3, patience=6, threads=1, checkpoint_every=0
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_encoder(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def tuned(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    lesson = Lesson(*made_sentences(80), CLASSES)
    found = fine_tune_spans(encoder_spec(encoder), lesson, tmp_path_factory.mktemp("tuned"), OPTIONS)
    assert found is not None
    return found


def embedded(spec: BackboneSpec, texts: list[str]) -> list[Dense]:
    backbone = load_backbone(spec, resolve_backbone(spec))
    return backbone.embed_dense(texts)[1]  # type: ignore[attr-defined,no-any-return]


def test_fine_tuning_lowers_the_loss_of_words(tuned: Tuned) -> None:
    before, after = tuned.epochs[0], tuned.epochs[tuned.best]

    assert after.loss < 0.75 * before.loss
    assert after.accuracy >= before.accuracy
    assert tuned.validation == 16
    assert "fine-tuned" in str(tuned)


def test_the_head_is_fitted_to_the_encoder_as_it_is_before_the_two_learn_together(encoder: Path) -> None:
    import torch

    from labelloop.learning.backbones.token_windows import TokenEncoder
    from labelloop.learning.tuning.tagging import Excerpts, TaggingSteps

    opened = TokenEncoder(encoder_spec(encoder), torch.device("cpu"))
    excerpts = Excerpts.of(opened, *made_sentences(40), CLASSES)
    steps = TaggingSteps(opened, 2, excerpts, OPTIONS)
    before = [parameter.clone() for parameter in opened.network.parameters()]
    steps.start()
    found = steps.judge(excerpts, range(40))

    assert found.accuracy > 0.95
    assert all(map(torch.equal, opened.network.parameters(), before))


def test_what_comes_of_it_is_a_backbone_that_tells_words_apart_better(encoder: Path, tuned: Tuned) -> None:
    texts, targets = made_sentences(80)
    fresh, right = made_sentences(60, seed=1)
    quality = {}
    for spec in (encoder_spec(encoder), tuned.spec):
        learner = SpanLearner.train(Training(embedded(spec, texts), targets, CLASSES))
        quality[spec.name] = learner.quality(embedded(spec, fresh), right).mean()

    assert tuned.spec.parts is TUNERS[Kind.SPANS].parts is Parts.TOKENS
    assert tuned.backbone.id == resolve_backbone(tuned.spec).id != resolve_backbone(encoder_spec(encoder)).id
    assert quality[tuned.spec.name] > 0.9
    assert quality[tuned.spec.name] >= quality[str(encoder)]


def test_the_head_reads_what_the_learner_will_read(encoder: Path) -> None:
    import torch

    from labelloop.learning.backbones.token_windows import TokenEncoder
    from labelloop.learning.tuning.tagging import Excerpts, TaggingSteps

    texts, targets = made_sentences(5)
    texts = sorted(texts, key=len)  # as excerpts have them
    opened = TokenEncoder(encoder_spec(encoder), torch.device("cpu"))
    steps = TaggingSteps(opened, 2, Excerpts.of(opened, texts, targets, CLASSES), OPTIONS)
    steps.judged.eval()
    with torch.no_grad():
        seen = steps.judged.features(steps._batch(steps._train, range(5))).numpy()
    read = np.concatenate([unpack_tokens(dense).values for dense in embedded(encoder_spec(encoder), texts)])

    assert seen == pytest.approx(read, abs=2e-3)


def test_each_word_of_a_long_text_counts_once_whatever_windows_it_is_in(encoder: Path) -> None:
    import torch

    from labelloop.learning.backbones.token_windows import TokenEncoder
    from labelloop.learning.tuning.tagging import Excerpts

    text = "nobody came at all " * 20 + "alice slept"
    target = SpansTarget((Span("PER", text.index("alice"), text.index("alice") + 5),), weight=0.5)
    opened = TokenEncoder(encoder_spec(encoder), torch.device("cpu"))
    found = Excerpts.of(opened, [text, "", " \u200b"], [target, SpansTarget(()), SpansTarget(())], ["PER"])
    marked = [float(weights[tags > 0].sum()) for tags, weights in zip(found.targets, found.weights, strict=True)]

    assert len(found.ids) > 4
    assert max(len(ids) for ids in found.ids) <= 32
    assert sum(weights.sum() for weights in found.weights) == pytest.approx(0.5 * 82)
    assert sum(marked) == pytest.approx(0.5)
    assert [word for words, tags in zip(found.words, found.targets, strict=True) for word in np.array(words)[tags > 0]]


def test_texts_it_was_taught_are_known_and_the_learner_is_judged_on_the_others(tuned: Tuned) -> None:
    texts, targets = made_sentences(80)
    dense = embedded(tuned.spec, [*texts, "of nobody"])
    taught = [unpack_tokens(one).taught for one in dense]
    learner = SpanLearner.train(Training(dense[:-1], targets, CLASSES))

    assert sum(taught) == 80 - tuned.validation
    assert not taught[-1]
    assert set(json.loads((tuned.folder / TAUGHT).read_text())) <= {digest_of(text) for text in texts}
    assert learner.cv_metrics is not None
    assert learner.cv_metrics.items == tuned.validation


def test_gradients_accumulated_over_parts_are_those_of_the_whole(encoder: Path) -> None:
    import torch

    from labelloop.learning.backbones.token_windows import TokenEncoder
    from labelloop.learning.tuning.tagging import Excerpts, TaggingSteps

    texts, targets = made_sentences(8)
    targets = [replace(one, weight=0.2 + 0.1 * number) for number, one in enumerate(targets)]

    def stepped(at_once: int) -> list[torch.Tensor]:
        opened = TokenEncoder(encoder_spec(encoder), torch.device("cpu"))
        options = replace(OPTIONS, at_once=at_once, warm_up_epochs=0, augmentation="none")
        steps = TaggingSteps(opened, 2, Excerpts.of(opened, texts, targets, CLASSES), options)
        torch.nn.init.orthogonal_(steps.judged.head.weight, generator=torch.Generator().manual_seed(0))
        torch.nn.init.zeros_(steps.judged.head.bias)
        model = steps.judged.eval()
        model.train = lambda mode=True: model  # without dropout, which draws otherwise for parts
        steps.step(0, 10)
        return [one.grad for one in model.parameters() if one.grad is not None]

    for whole, parts in zip(stepped(8), stepped(3), strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)


def test_it_ends_within_its_budget_with_what_it_reached(encoder: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=500, patience=500, seconds=0.3)
    found = fine_tune_spans(encoder_spec(encoder), Lesson(*made_sentences(20), CLASSES), tmp_path, options)

    assert found is not None
    assert found.ended == "budget"
    assert len(found.epochs) < 500


def test_giving_way_leaves_a_checkpoint_and_nothing_else(encoder: Path, tmp_path: Path) -> None:
    keeper = CheckpointFile(tmp_path / "checkpoint")
    lesson = Lesson(*made_sentences(20), CLASSES)

    found = fine_tune_spans(
        encoder_spec(encoder), lesson, tmp_path, OPTIONS, Conduct(keeper=keeper, give_way=lambda: True)
    )
    assert found is None
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


def test_where_nothing_is_gained_nothing_counts_as_taught(encoder: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=1, backbone_rate=0.0, head_rate=0.0)
    found = fine_tune_spans(encoder_spec(encoder), Lesson(*made_sentences(20), CLASSES), tmp_path, options)

    assert found is not None
    assert found.best == 0
    assert json.loads((found.folder / TAUGHT).read_text()) == []
    assert not unpack_tokens(embedded(found.spec, made_sentences(1)[0])[0]).taught


def test_texts_without_spans_are_learnt_from_and_classes_that_are_gone_left_out(encoder: Path, tmp_path: Path) -> None:
    texts, targets = made_sentences(20)
    targets = [SpansTarget(()) if number % 2 else one for number, one in enumerate(targets)]
    gone = [replace(one, spans=(*one.spans, Span("GONE", 0, 3), Span("PER", 0, 999))) for one in targets[:2]]
    lesson = Lesson(["", "\udcff", *texts], [SpansTarget(()), SpansTarget(()), *gone, *targets[2:]], CLASSES)
    found = fine_tune_spans(encoder_spec(encoder), lesson, tmp_path, replace(OPTIONS, epochs=1))

    assert found is not None
    assert np.isfinite([epoch.loss for epoch in found.epochs]).all()


@pytest.mark.parametrize(
    ("count", "spans", "said"),
    [(1, True, "at least two different labelled items"), (6, False, "needs a text with a marked word")],
)
def test_too_little_to_learn_is_named_so(encoder: Path, tmp_path: Path, count: int, spans: bool, said: str) -> None:
    texts, targets = made_sentences(count)
    lesson = Lesson(texts, targets if spans else [SpansTarget(())] * count, CLASSES)
    with pytest.raises(NotEnoughLabels, match=said):
        fine_tune_spans(encoder_spec(encoder), lesson, tmp_path, OPTIONS)


def test_plain_tokens_are_not_fine_tuned(tmp_path: Path) -> None:
    spec = BackboneSpec(Modality.TEXT, "plain", offline=True, parts=Parts.TOKENS)
    with pytest.raises(LearningError, match="no network"):
        fine_tune_spans(spec, Lesson(*made_sentences(20), CLASSES), tmp_path)
    assert TUNERS[Kind.SPANS].why_not(spec, resolve_backbone(spec))

"""The translation memory suggests what was answered to the nearest item, and knows how far that goes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import TextLearner, Training
from labelloop.learning.backbones.plain_texts import PlainTexts
from labelloop.learning.translation import learner as translation_learner
from labelloop.learning.translation.expectation import Expectation
from labelloop.learning.translation.measuring import chrf_of_each, figures_of
from labelloop.learning.translation.memory import Memory
from labelloop.learning.translation.profiles import profiles
from labelloop.records import TextPrediction, TextTarget

NOUNS = ("house", "river", "garden", "window", "teacher", "letter", "train", "bridge", "winter", "market")
HAUPT = ("Haus", "Fluss", "Garten", "Fenster", "Lehrer", "Brief", "Zug", "Bruecke", "Winter", "Markt")
FRAMES = (
    ("I can see the {} from here", "Von hier aus sehe ich {}"),
    ("Nobody knows where the {} is", "Niemand weiss, wo {} ist"),
    ("They have always liked that {}", "Das mochten sie schon immer: {}"),
    ("Please tell us about your {}", "Bitte erzaehlen Sie uns von {}"),
)


def pairs(count: int, seed: int = 0) -> tuple[np.ndarray, list[TextTarget]]:
    """Features of made sentences and their made translations; the like of each comes again with another noun."""
    every = [(f.format(n), g.format(h)) for f, g in FRAMES for n, h in zip(NOUNS, HAUPT, strict=True)]
    chosen = np.random.default_rng(seed).permutation(len(every))[:count]
    return PlainTexts().embed([every[i][0] for i in chosen]), [TextTarget((every[i][1],)) for i in chosen]


def trained(count: int = 30, **training: Any) -> TextLearner:
    rows, targets = pairs(count)
    return TextLearner.train(Training(rows, targets, (), **training))


def test_an_answered_item_gets_its_answer_back() -> None:
    rows, targets = pairs(30)
    found = TextLearner.train(Training(rows, targets, ())).predict(rows)

    assert [one.text for one in found] == [target.texts[0] for target in targets]
    assert min(one.confidence for one in found) > 0.6


def test_what_is_like_nothing_answered_gets_no_text_and_more_uncertainty() -> None:
    learner = trained()
    near = learner.predict(PlainTexts().embed(["I can see the house from here"]))[0]
    far = learner.predict(PlainTexts().embed(["zzz qqq 12345"]))[0]

    assert near.text
    assert far.text == ""
    assert far.uncertainty > near.uncertainty
    assert far.shown((), 0.0) is None
    for one in (near, far):
        assert one.uncertainty == pytest.approx(1 - one.confidence)
        assert 0 < one.uncertainty < 1


def test_expected_quality_is_about_what_is_reached() -> None:
    rows, targets = pairs(40)
    learner = TextLearner.train(Training(rows[:30], targets[:30], ()))
    expected = np.array([one.confidence for one in learner.predict(rows[30:])])

    assert abs(expected.mean() - learner.quality(rows[30:], targets[30:]).mean()) < 0.1


def test_figures_are_of_what_is_nearest_shown_or_not() -> None:
    rows, targets = pairs(40)
    learner = TextLearner.train(Training(rows[:30], targets[:30], ()))
    figures = learner.evaluate(rows[30:], targets[30:])

    assert (figures.name, figures.items, figures.source) == ("chrF", 10, "holdout")
    assert figures.interval is not None
    assert figures.interval.low < figures.value < figures.interval.high
    assert {"BLEU", "suggested", "calibration error"} <= figures.others.keys()
    assert all(0 <= value <= 1 for value in figures.others.values())
    assert learner.cv_metrics is not None
    assert learner.cv_metrics.source == "cross-validation"
    assert learner.cv_metrics.items == 30


def test_a_restored_learner_says_the_same_to_the_last_bit() -> None:
    learner, (rows, targets) = trained(), pairs(40, seed=1)
    again = TextLearner.from_arrays(learner.arrays(), learner.meta())

    assert again.predict(rows) == learner.predict(rows)
    assert again.cv_metrics == learner.cv_metrics
    assert np.array_equal(again.quality(rows, targets), learner.quality(rows, targets))


def test_the_same_labels_and_seed_give_the_same_learner() -> None:
    one, other = trained().arrays(), trained().arrays()

    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_too_few_answers_are_named_so() -> None:
    rows, targets = pairs(4)
    with pytest.raises(NotEnoughLabels, match="needs 5 answered items; there are 4"):
        TextLearner.train(Training(rows, targets, ()))
    with pytest.raises(NotEnoughLabels):
        TextLearner.train(Training(np.zeros((0, 8), dtype=np.float32), [], ()))


def test_items_without_finite_features_are_left_out() -> None:
    rows, targets = pairs(12)
    rows[3] = np.nan
    learner = TextLearner.train(Training(rows, targets, (), unlabelled=np.full((2, rows.shape[1]), np.inf)))
    quality = learner.quality(rows, targets)

    assert learner.evaluate(rows, targets).items == 11
    assert quality[3] == 0
    assert quality[0] == 1
    with pytest.raises(LearningError, match="not finite"):
        learner.predict(rows)


def test_rows_of_another_backbone_are_refused() -> None:
    with pytest.raises(LearningError, match="made by another backbone"):
        trained().predict(np.zeros((1, 3), dtype=np.float32))
    with pytest.raises(LearningError, match="1 targets for 2 rows"):
        TextLearner.train(Training(np.zeros((2, 3), dtype=np.float32), [TextTarget(("a",))], ()))


def test_nothing_in_nothing_out() -> None:
    learner = trained()
    empty = np.zeros((0, 512), dtype=np.float32)

    assert learner.predict(empty) == []
    assert learner.quality(empty, []).shape == (0,)
    assert learner.probabilities(empty) is None
    with pytest.raises(NotEnoughLabels):
        learner.evaluate(empty, [])


def test_equal_features_and_equal_answers_are_no_trouble() -> None:
    rows = np.ones((6, 4), dtype=np.float32)
    same = TextLearner.train(Training(rows, [TextTarget(("yes",))] * 6, ()))
    assert same.predict(rows[:1])[0].text == "yes"
    differing = TextLearner.train(Training(rows, [TextTarget((text,)) for text in "abcdef"], ()))
    assert differing.predict(rows[:1])[0].text == ""


def test_of_many_long_answers_some_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained()
    monkeypatch.setattr(translation_learner, "JUDGED_CHARACTERS", 300)
    some = trained()

    assert whole.cv_metrics is not None
    assert some.cv_metrics is not None
    assert whole.cv_metrics.items == 30
    assert 5 < some.cv_metrics.items < 15
    assert len(some.predict(pairs(30)[0])) == 30


def test_a_copy_of_a_source_does_not_tell_how_well_it_is_answered() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 32)).astype(np.float32)
    targets = [TextTarget(("".join(random.choice(list("abcdefghijklmnop"), 30)),)) for _ in rows]
    once = TextLearner.train(Training(rows, targets, ())).cv_metrics
    twice = TextLearner.train(Training(np.concatenate([rows, rows]), targets * 2, ())).cv_metrics

    assert once is not None
    assert twice is not None
    assert twice.items == 40
    assert twice.value == pytest.approx(once.value, abs=0.05)


def test_any_of_several_answers_is_right() -> None:
    targets = [TextTarget(("good day", "hello"))]

    assert chrf_of_each(["hello"], targets)[0] == 1
    figures = figures_of(
        ["hello", "x"], [*targets, TextTarget(("x",))], shown=np.ones(2, bool), expected=np.ones(2), source="holdout"
    )
    assert figures.value == pytest.approx(1)
    assert figures.others["BLEU"] == pytest.approx(1)


def test_a_second_answer_of_one_item_changes_nothing_for_the_others() -> None:
    words = [f"word{number}" for number in range(60)]
    right = [" ".join(words[n : n + 20]) for n in range(40)]
    said = [" ".join(text.split()[:8]) for text in right]

    def bleu(targets: list[TextTarget]) -> float:
        shown = np.ones(len(targets), dtype=bool)
        return figures_of(said, targets, shown=shown, expected=np.zeros(len(targets)), source="holdout").others["BLEU"]

    one = [TextTarget((text,)) for text in right]
    assert bleu([TextTarget((right[0], right[0] + " again")), *one[1:]]) == pytest.approx(bleu(one), abs=0.01)


def test_chinese_is_told_apart_by_characters() -> None:
    said, right = ["我喜欢喝茶。"], [TextTarget(("我喜欢喝咖啡。",))]
    figures = figures_of(said, right, shown=np.ones(1, bool), expected=np.zeros(1), source="holdout")

    assert figures.others["BLEU"] > 0.1


def test_a_long_text_takes_no_long_time() -> None:
    long = "many words " * 20_000

    assert chrf_of_each([long], [TextTarget((long,))])[0] == 1
    assert profiles([long]).shape == (1, 256)


def test_profiles_tell_like_texts_from_others() -> None:
    rows = profiles(["the garden is green", "the garden was green", "Zug 12 nach Wien", ""])
    alike = rows @ rows.T

    assert alike[0, 1] > 0.6
    assert abs(alike[0, 2]) < 0.3
    assert not rows[3].any()


def test_a_memory_finds_as_a_full_search_does() -> None:
    rows = np.random.default_rng(0).normal(size=(700, 16)).astype(np.float32)
    memory = Memory.of(rows, [str(i) for i in range(700)], np.zeros(16, dtype=np.float32))
    asked = np.random.default_rng(1).normal(size=(600, 16)).astype(np.float32)
    known = memory.rows.astype(np.float64)
    cosine = asked / np.linalg.norm(asked, axis=1, keepdims=True) @ known.T

    assert (memory.find(asked).nearest == cosine.argmax(axis=1)).all()
    others = memory.find_among_others(np.arange(700)).nearest
    np.fill_diagonal(alike := known @ known.T, -1)
    assert (others == alike.argmax(axis=1)).all()


def test_of_equally_near_answers_the_first_is_suggested() -> None:
    rows = np.tile(np.arange(1, 9, dtype=np.float32), (2000, 1))
    rows[:7] *= -1
    memory = Memory.of(rows, [str(number) for number in range(2000)], np.zeros(8, dtype=np.float32))

    assert memory.find(rows[-1:]).nearest.tolist() == [7]
    assert memory.find_among_others(np.array([7, 8])).nearest.tolist() == [8, 7]


@settings(max_examples=30)
@given(st.lists(st.text(max_size=12), max_size=8))
def test_a_memory_keeps_every_text(texts: list[str]) -> None:
    memory = Memory.of(np.ones((len(texts), 2), dtype=np.float32), texts, np.zeros(2, dtype=np.float32))

    assert Memory.from_arrays(memory.arrays()).texts == tuple(texts)


def test_an_expectation_follows_the_evidence_and_starts_from_the_prior() -> None:
    signals = np.linspace(-2, 2, 400)[:, None]
    quality = 1 / (1 + np.exp(-(1.5 * signals[:, 0] - 0.5)))
    start = np.array([0.0, 0.0])
    fitted = Expectation.fit(signals, quality, np.ones(400), start)
    none = Expectation.fit(signals[:0], quality[:0], np.ones(0), np.array([2.0, 1.0]))

    assert fitted.weights == pytest.approx([1.5, -0.5], abs=0.1)
    assert none.weights == pytest.approx([2.0, 1.0])
    assert ((fitted.of(np.array([[-1e6], [1e6]])) > 0) & (fitted.of(np.array([[-1e6], [1e6]])) < 1)).all()


def test_a_suggestion_below_the_control_threshold_is_not_shown() -> None:
    said = TextPrediction("text", 0.5, 0.5)

    assert said.shown((), 0.6) is None
    assert said.shown((), 0.4) is said

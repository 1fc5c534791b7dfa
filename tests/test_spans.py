"""Learning to mark stretches of texts: tags, the chain, the learner, and how it is judged."""

import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import LEARNERS, Dense, Figures, Training, TrainingOptions
from labelloop.learning.backbones.plain_tokens import PlainTokens
from labelloop.learning.spans import SpanLearner
from labelloop.learning.spans import learner as spans_learner
from labelloop.learning.spans.chain import Chain, beliefs, best_paths, chain_of, expected_moves, likelihood
from labelloop.learning.spans.decoding import Reading, read_texts
from labelloop.learning.spans.fitting import LONGEST, Example, _cut
from labelloop.learning.spans.judging import entity_figures, f1_of_each
from labelloop.learning.spans.network import Batch, gradients, new_parameters
from labelloop.learning.spans.reading import in_batches
from labelloop.learning.spans.tags import allowed, columns, disjoint, from_tags, on_tokens, path_of, to_tags
from labelloop.records import Kind, Span, SpansTarget

CLASSES = ("PER", "LOC")
NAMES = ["Alice", "Bob", "Carol", "Dave", "Mary Ann", "Jean Paul"]
TOWNS = ["Rome", "Lima", "New Oslo", "Port Bern", "Kyiv"]
SAID = ["{} went to {} today", "in {1} we met {0}", "nobody came at all", "a letter from {} , posted in {}", "{} slept"]


def made(count: int, seed: int) -> list[tuple[str, SpansTarget]]:
    """Sentences with people and towns."""
    random = np.random.default_rng(seed)
    items = []
    for _ in range(count):
        name, town = random.choice(NAMES), random.choice(TOWNS)
        text = random.choice(SAID).format(name, town)
        found = [Span("PER", text.find(name), text.find(name) + len(name))] if name in text else []
        found += [Span("LOC", text.find(town), text.find(town) + len(town))] if town in text else []
        items.append((text, SpansTarget(tuple(sorted(found, key=lambda span: span.start)))))
    return items


def embedded(texts: Sequence[str]) -> list[Dense]:
    return PlainTokens().embed_dense(texts)[1]


def training(items: Sequence[tuple[str, SpansTarget]], **options: Any) -> Training:
    texts, targets = [text for text, _ in items], [target for _, target in items]
    return Training(embedded(texts), targets, CLASSES, options=TrainingOptions(**options))


@pytest.fixture(scope="module")
def learner() -> SpanLearner:
    return SpanLearner.train(training(made(60, 0)))


@st.composite
def tagged(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]]]:
    tokens = draw(st.integers(1, 12))
    ends = st.tuples(st.integers(0, tokens - 1), st.integers(1, 5), st.integers(0, 2))
    drawn = draw(st.lists(ends, max_size=6))
    return tokens, [(first, min(first + length, tokens), number) for first, length, number in drawn]


@given(tagged())
def test_spans_without_overlap_survive_their_tags(drawn: tuple[int, list[tuple[int, int, int]]]) -> None:
    tokens, spans = drawn
    kept = disjoint(spans)
    tags = to_tags(kept, tokens)
    follows, first, last = allowed(3)

    assert from_tags(tags) == kept
    assert first[tags[0]]
    assert last[tags[-1]]
    assert follows[tags[:-1], tags[1:]].all()
    assert not kept or max(after - begin for begin, after, _ in kept) == max(after - begin for begin, after, _ in spans)


def test_of_spans_that_overlap_the_longest_is_learnt() -> None:
    assert disjoint([(2, 4, 0), (0, 3, 1), (3, 4, 1), (0, 3, 0)]) == [(0, 3, 0), (3, 4, 1)]
    assert disjoint([(1, 2, 0), (0, 4, 1)]) == [(0, 4, 1)]


def test_a_span_has_every_token_that_it_touches() -> None:
    starts, ends = np.array([0, 6, 10]), np.array([5, 9, 12])
    place = {"PER": 0}

    assert on_tokens([Span("PER", 0, 7)], starts, ends, place) == [(0, 2, 0)]
    assert on_tokens([Span("PER", 5, 6), Span("LOC", 0, 5), Span("PER", 40, 50)], starts, ends, place) == []


def random_chain(classes: int, seed: int) -> tuple[Chain, np.ndarray]:
    random = np.random.default_rng(seed)
    tags = columns(classes)
    chain = chain_of(
        random.normal(size=(tags, tags)), random.normal(size=tags), random.normal(size=tags), allowed(classes)
    )
    return chain, random.normal(size=(2, 4, tags))


def every_path(chain: Chain, scores: np.ndarray, length: int) -> dict[tuple[int, ...], float]:
    """The score of each way to tag, tried one by one."""
    found = {}
    for path in itertools.product(range(scores.shape[1]), repeat=length):
        value = chain.first[path[0]] + chain.last[path[-1]] + scores[range(length), path].sum()
        value += sum(chain.moves[one, next_] for one, next_ in itertools.pairwise(path))
        if value > -1e8:
            found[path] = float(value)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_chain_agrees_with_trying_every_path(seed: int) -> None:
    chain, scores = random_chain(1, seed)
    lengths = np.array([4, 2])
    found = beliefs(chain, scores, lengths)

    for row, length in enumerate(lengths):
        paths = every_path(chain, scores[row], length)
        total = np.logaddexp.reduce(list(paths.values()))
        shares = {path: np.exp(value - total) for path, value in paths.items()}
        assert found.log_total[row] == pytest.approx(total)
        assert tuple(best_paths(chain, scores, lengths)[row]) == max(paths, key=lambda path: paths[path])
        for place, tag in itertools.product(range(length), range(columns(1))):
            share = sum(value for path, value in shares.items() if path[place] == tag)
            assert found.marginals[row, place, tag] == pytest.approx(share, abs=1e-9)
        share = sum(value for path, value in shares.items() if path[:2] == tuple(path_of(0, 2)))
        assert likelihood(chain, found, row, 0, path_of(0, 2)) == pytest.approx(share, abs=1e-9)
        moves = expected_moves(chain, found, np.eye(2)[row])
        assert moves.sum() == pytest.approx(length - 1)
    assert (found.marginals[1, 2:] == 0).all()


def test_scores_of_any_size_give_shares() -> None:
    """Where a token alone would rather be what its neighbours forbid, by more than a float can hold."""
    chain = random_chain(1, 0)[0]
    scores = np.full((1, 5, columns(1)), -4000.0)
    scores[0, range(5), [0, 1, 0, 3, 0]] = 0.0
    found = beliefs(chain, scores, np.array([5]))

    assert np.isfinite(found.log_total).all()
    assert found.marginals.sum(axis=2) == pytest.approx(np.ones((1, 5)))


def test_the_best_path_of_a_long_text_is_as_good_at_its_end_as_at_its_beginning() -> None:
    chain = chain_of(np.zeros((5, 5)), np.zeros(5), np.zeros(5), allowed(1))
    random = np.random.default_rng(0)
    piece = random.normal(20, 0.1, size=(200, 5)).astype(np.float32)
    piece[-1, 1:] -= 10  # each piece ends outside of spans, so that the next begins anew
    scores = np.tile(piece, (200, 1))[None]
    (path,) = best_paths(chain, scores, np.array([40_000]))

    assert (path.reshape(200, 200) == best_paths(chain, piece[None], np.array([200]))[0]).all()


def test_gradients_are_those_of_the_loss() -> None:
    random = np.random.default_rng(0)
    rules = allowed(1)
    parameters = {name: value.astype(np.float64) for name, value in new_parameters(3, columns(1), random).items()}
    batch = Batch(random.normal(size=(9, 3)), np.array([4, 1, 4]))
    tags = np.concatenate([to_tags([(1, 3, 0)], 4), to_tags([(0, 1, 0)], 1), to_tags([], 4)])
    weights = np.array([1.0, 0.5, 2.0])
    _, slopes = gradients(parameters, batch, tags, weights, rules, None)

    for name, value in parameters.items():
        direction = random.normal(size=value.shape)
        if name == "moves":  # what may not happen has no slope
            direction *= rules[0]
        elif name in ("first", "last"):
            direction *= rules[1 if name == "first" else 2]
        ahead, behind = ({**parameters, name: value + sign * 1e-4 * direction} for sign in (1, -1))
        rise = gradients(ahead, batch, tags, weights, rules, None)[0]
        rise -= gradients(behind, batch, tags, weights, rules, None)[0]
        assert (slopes[name] * direction).sum() == pytest.approx(rise / 2e-4, rel=2e-3, abs=1e-6), name


def test_long_sequences_are_cut_where_no_span_runs() -> None:
    tags = to_tags([(10, 100, 0), (140, 236, 1)], 1000)
    parts = [part.tags for part in _cut(Example(np.zeros((1000, 2), dtype=np.float32), tags, 1.0))]

    assert np.concatenate(parts).tolist() == tags.tolist()
    assert max(map(len, parts)) <= LONGEST * 3 // 2
    assert max(len(part) for part in parts if not part.any()) <= LONGEST
    assert sum(len(from_tags(part)) for part in parts) == 2


def test_of_spans_longer_than_a_part_the_ends_are_learnt() -> None:
    tags = to_tags([(10, 20_000, 0)], 20_100)
    values = np.arange(20_100, dtype=np.float32)[:, None]
    parts = _cut(Example(values, tags, 1.0))
    seen = np.concatenate([part.values[:, 0] for part in parts])

    assert max(len(part.tags) for part in parts) <= LONGEST * 3 // 2
    assert sum(len(from_tags(part.tags)) for part in parts) == 1
    assert {0, 10, 10 + LONGEST // 2 - 1, 20_000 - LONGEST // 2, 19_999, 20_099} <= set(seen)
    assert len(seen) == 110 + LONGEST


def test_sequences_in_which_spans_touch_are_cut_between_them() -> None:
    spans = [(first, first + 3, first % 2) for first in range(0, 1500, 3)]
    tags = to_tags(spans, 1500)
    parts = [part.tags for part in _cut(Example(np.zeros((1500, 2), dtype=np.float32), tags, 1.0))]

    assert np.concatenate(parts).tolist() == tags.tolist()
    assert max(map(len, parts)) <= LONGEST
    assert sum(len(from_tags(part)) for part in parts) == len(spans)


def test_thousands_of_spans_in_a_text_take_no_long_time() -> None:
    spans = [(first, first + 1, 0) for first in range(20_000)]
    started = time.perf_counter()

    assert disjoint(spans) == spans
    assert time.perf_counter() - started < 2


def test_learner_finds_what_people_mark(learner: SpanLearner) -> None:
    items = made(40, 1)
    inputs, targets = embedded([text for text, _ in items]), [target for _, target in items]
    figures = learner.evaluate(inputs, targets)

    assert figures.value > 0.9
    assert figures.source == "holdout"
    assert figures.interval is not None
    assert figures.interval.low <= figures.value <= figures.interval.high
    assert set(figures.per_class) == set(CLASSES)
    assert learner.quality(inputs, targets).mean() > 0.9
    assert learner.cv_metrics is not None
    assert (learner.cv_metrics.source, learner.cv_metrics.items) == ("cross-validation", 60)
    assert learner.probabilities(inputs) is None


def test_stored_learner_says_exactly_the_same(learner: SpanLearner) -> None:
    inputs = embedded([text for text, _ in made(20, 2)])
    meta = json.loads(json.dumps(learner.meta()))
    restored = SpanLearner.from_arrays(learner.arrays(), meta)

    assert restored.predict(inputs) == learner.predict(inputs)
    assert restored.cv_metrics == learner.cv_metrics
    assert meta["kind"] == "spans" == SpanLearner.kind
    assert LEARNERS[Kind.SPANS] is SpanLearner


def test_same_data_and_seed_give_the_same_model(learner: SpanLearner) -> None:
    again = SpanLearner.train(training(made(60, 0)))
    assert all((value == learner.arrays()[name]).all() for name, value in again.arrays().items())


def test_predictions_lie_in_the_text_do_not_overlap_and_are_shares(learner: SpanLearner) -> None:
    texts = [text for text, _ in made(30, 3)] + ["\U0001f600 Alice\r\n\r\nRome\u0301", "?" * 500]
    for text, said in zip(texts, learner.predict(embedded(texts)), strict=True):
        ends = [0, *(place for span in said.spans for place in (span.start, span.end))]
        assert ends == sorted(ends)
        assert ends[-1] <= len(text)
        assert all(0 <= span.score <= 1 for span in said.spans)
        assert 0 <= said.uncertainty <= 1
        assert 0 <= said.confidence <= 1


def test_batch_does_not_change_what_is_said_of_a_text(learner: SpanLearner) -> None:
    inputs = embedded([text for text, _ in made(8, 4)])
    together = learner.predict(inputs)
    for alone, said in zip((learner.predict([one])[0] for one in inputs), together, strict=True):
        assert alone.summary == said.summary
        assert alone.uncertainty == pytest.approx(said.uncertainty, abs=1e-5)


def test_batches_hold_every_text_once_and_are_small_where_tags_are_many() -> None:
    lengths = [5, 30_000, 1, 7, 7]
    few, many = (list(in_batches(lengths, tags)) for tags in (5, 2000))

    assert sorted(np.concatenate(few).tolist()) == sorted(np.concatenate(many).tolist()) == list(range(5))
    assert [len(batch) for batch in many] == [1] * 5
    assert few[-1].tolist() == [1]


def test_of_long_texts_few_are_read_at_once(learner: SpanLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = embedded([text for text, _ in made(30, 7)])
    together = learner.predict(inputs)
    sizes: list[int] = []

    def noted(networks: Any, texts: Sequence[np.ndarray], *rest: Any) -> list[Reading]:
        sizes.append(sum(text.size for text in texts))
        return read_texts(networks, texts, *rest)

    monkeypatch.setattr(spans_learner, "read_texts", noted)
    monkeypatch.setattr(spans_learner, "_AT_ONCE", 5000)

    assert [one.summary for one in learner.predict(inputs)] == [one.summary for one in together]
    assert max(sizes) < 5000 + max(one.values.size for one in inputs)


def test_unknown_words_are_less_certain_and_certain_ones_are_not_extreme(learner: SpanLearner) -> None:
    known, unknown = learner.predict(embedded(["Alice went to Rome today", "Zxcv Qwerty Uiop to Hjkl"]))
    assert known.uncertainty < unknown.uncertainty < 1


def test_uncertainty_does_not_grow_with_length(learner: SpanLearner) -> None:
    sentence = "Zed went to Rome today . "
    short, long = learner.predict(embedded([sentence * 2, sentence * 40]))
    assert long.uncertainty == pytest.approx(short.uncertainty, abs=0.1)


def test_the_doubt_of_a_text_is_reduced_over_its_words_as_is_chosen(learner: SpanLearner) -> None:
    inputs = embedded(["Alice went to Rome today", "Zxcv Qwerty Uiop to Hjkl"])
    usual, mean, most, least = (
        [one.uncertainty for one in SpanLearner.from_arrays(learner.arrays(), learner.meta() | chosen).predict(inputs)]
        for chosen in ({}, {"reduction": "mean"}, {"reduction": "max"}, {"reduction": "quantile:0"})
    )

    assert usual == pytest.approx((np.array(mean) + most) / 2)
    assert all(np.array(least) < mean) and all(np.array(mean) < most)


def test_texts_without_a_word_and_features_that_are_not_finite_are_answered(learner: SpanLearner) -> None:
    empty, good = embedded(["", "Alice slept"])
    broken = replace(good, values=np.full_like(good.values, np.nan))
    nothing = Dense(np.zeros(0, dtype=np.float16), np.zeros(0, dtype=np.int32))
    said = learner.predict([empty, broken, good, nothing])

    assert [len(one.spans) for one in said] == [0, 0, 1, 0]
    assert [one.uncertainty for one in (said[0], said[1], said[3])] == [0, 1, 0]
    assert learner.predict([]) == []


def test_features_of_another_backbone_are_refused(learner: SpanLearner) -> None:
    other = Dense(np.zeros(6, dtype=np.float16), np.array([2, 3, 0, 1, 2, 3], dtype=np.int32))
    with pytest.raises(LearningError, match="another backbone"):
        learner.predict([other])
    with pytest.raises(LearningError, match="embed the text again"):
        learner.predict([Dense(other.values[:5], other.places)])


@pytest.mark.parametrize("items", [[], [("nobody came", SpansTarget(()))], [("", SpansTarget((Span("PER", 0, 1),)))]])
def test_without_a_marked_span_it_says_what_is_missing(items: list[tuple[str, SpansTarget]]) -> None:
    with pytest.raises(NotEnoughLabels, match="at least one marked span"):
        SpanLearner.train(training(items))


def test_one_marked_text_suffices() -> None:
    text, target = "Alice slept", SpansTarget((Span("PER", 0, 5),))
    learner = SpanLearner.train(training([(text, target), ("nobody came", SpansTarget(()))]))

    assert learner.cv_metrics is None
    assert [(span.label, span.start, span.end) for span in learner.predict(embedded([text]))[0].spans] == [
        ("PER", 0, 5)
    ]


def test_a_copy_of_a_text_does_not_tell_how_well_it_is_read() -> None:
    random = np.random.default_rng(0)
    items = []
    for _ in range(40):  # there is nothing to be learnt but the texts by heart
        text = " ".join("".join(random.choice(list("abcdefgh"), 5)) for _ in range(8))
        start = 6 * int(random.integers(8))
        items.append((text, SpansTarget((Span("PER", start, start + 5),))))
    once = SpanLearner.train(training(items)).cv_metrics
    thrice = SpanLearner.train(replace(training(items * 3), groups=np.tile(np.arange(40), 3))).cv_metrics

    assert once is not None
    assert thrice is not None
    assert thrice.items == 40
    assert thrice.value < once.value + 0.2


def test_classes_that_are_gone_and_broken_texts_are_left_out_of_training() -> None:
    items = made(12, 5)
    given = training(items)
    gone = SpansTarget((Span("ORG", 0, 3),))
    broken = replace(given.inputs[0], values=np.full_like(given.inputs[0].values, np.inf))
    learner = SpanLearner.train(
        replace(given, inputs=[*given.inputs, given.inputs[1], broken], targets=[*given.targets, gone, gone])
    )
    assert {span.label for said in learner.predict(given.inputs) for span in said.spans} <= set(CLASSES)


def test_targets_that_do_not_go_with_the_texts_and_unknown_measures_are_refused(learner: SpanLearner) -> None:
    given = training(made(3, 6))
    with pytest.raises(LearningError, match="2 targets for 3 texts"):
        SpanLearner.train(replace(given, targets=given.targets[:2]))
    with pytest.raises(LearningError, match="2 targets for 3 texts"):
        learner.quality(given.inputs, given.targets[:2])
    with pytest.raises(LearningError, match="No uncertainty"):
        SpanLearner.train(training(made(3, 6), uncertainty="doubt"))
    with pytest.raises(NotEnoughLabels, match="no annotated text"):
        learner.evaluate([], [])
    with pytest.raises(NotEnoughLabels, match="no class of spans yet"):
        SpanLearner.train(replace(given, classes=()))


def as_tags(spans: Sequence[tuple[int, int, int]], tokens: int) -> list[str]:
    tags = ["O"] * tokens
    for first, after, number in spans:
        tags[first:after] = [f"B-{number}", *[f"I-{number}"] * (after - first - 1)]
    return tags


def as_spans(spans: Sequence[tuple[int, int, int]]) -> list[Span]:
    return [Span(str(number), first, after) for first, after, number in spans]


@given(st.lists(st.tuples(tagged(), tagged()), min_size=1, max_size=4))
def test_entity_f1_is_seqevals(drawn: list[Any]) -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    tokens = [max(one[0], other[0]) for one, other in drawn]
    right, said = ([disjoint(pair[side][1]) for pair in drawn] for side in (0, 1))
    figures = entity_figures([as_spans(one) for one in said], [as_spans(one) for one in right], "holdout")
    if any(right) and any(said):
        tags = [[as_tags(one, size) for one, size in zip(side, tokens, strict=True)] for side in (right, said)]
        assert figures.value == pytest.approx(seqeval.f1_score(*tags))
        assert figures.others["precision"] == pytest.approx(seqeval.precision_score(*tags))
        assert figures.others["recall"] == pytest.approx(seqeval.recall_score(*tags))
    assert Figures.from_json(json.loads(json.dumps(figures.to_json()))) == figures


def test_nothing_to_find_and_nothing_found_is_faultless() -> None:
    span = Span("PER", 0, 1)
    assert entity_figures([[]], [[]], "holdout").value == 1
    assert entity_figures([[span]], [[]], "holdout").value == 0
    assert f1_of_each([[], [span], [span]], [[], [], [span, Span("PER", 0, 2)]]).tolist() == [
        1,
        0,
        pytest.approx(2 / 3),
    ]

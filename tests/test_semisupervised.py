"""Learning from rows without a label: what helps, what moves what, and what must not."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.semi_supervised import LabelSpreading as TheirSpreading

from labelloop.learning.heads import HEADS, Lesson, Recipe
from labelloop.learning.semisupervised import METHODS, label_spreading
from labelloop.learning.semisupervised import mean_teacher as teaching
from labelloop.learning.semisupervised.graph import neighbour_graph, spread
from labelloop.learning.semisupervised.mean_teacher import Weights, consistency_slope, follow, ramp, supervised_slope
from labelloop.learning.semisupervised.pseudo_label import PseudoLabel, surest
from support.lessons import crossed_blobs, digits_lesson, lesson_of

methods = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


def _right(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == targets).mean())


def _moons(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    angle = generator.uniform(0, np.pi, count)
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    points[targets == 1] = [1.0, 0.4] - points[targets == 1]
    return (points + 0.05 * generator.normal(size=points.shape)).astype(np.float32), targets


@methods
def test_digits_gain_from_rows_without_a_label(method: Recipe) -> None:
    lesson, rows, targets = digits_lesson(40, pool=500)
    plain = _right(HEADS["logistic"].fit(lesson, 0).logits(rows), targets)

    assert _right(method.fit(lesson, 0).logits(rows), targets) > plain + 0.005


@methods
def test_an_empty_pool_leaves_what_the_labels_say(method: Recipe) -> None:
    lesson, rows, _ = digits_lesson(40)
    plain = HEADS["logistic"].fit(lesson, 0).logits(rows)

    assert method.fit(lesson, 0).logits(rows) == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("name", ["label_spreading", "spread_neighbours"])
def test_without_a_pool_no_graph_of_the_labels_is_made(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delattr(label_spreading, "neighbour_graph")
    lesson, _, _ = digits_lesson(40)
    tested = METHODS[name].fit_tested(lesson, 0)

    assert tested.logits == pytest.approx(Recipe.fit_tested(HEADS["logistic"], lesson, 0).logits)


@methods
def test_same_seed_same_head(method: Recipe) -> None:
    lesson, rows, _ = digits_lesson(40, pool=100)

    assert (method.fit(lesson, 2).logits(rows) == method.fit(lesson, 2).logits(rows)).all()


@methods
def test_a_tested_row_lends_no_label(method: Recipe) -> None:
    """Where rows say nothing of their targets, only what has seen a row's own label answers better than chance."""
    generator = np.random.default_rng(0)
    features, targets = generator.normal(size=(150, 5)).astype(np.float32), generator.integers(0, 2, 150)
    lesson = lesson_of(features, targets, generator.normal(size=(100, 5)).astype(np.float32))
    tested = method.fit_tested(replace(lesson, run=range(2)), 0)

    assert _right(tested.logits, lesson.targets[tested.rows]) < 0.65


@methods
def test_a_pool_that_is_all_alike_breaks_nothing(method: Recipe) -> None:
    lesson, rows, _ = digits_lesson(40, pool=1)
    head = method.fit(replace(lesson, pool=np.zeros((50, 64), dtype=np.float32)), 0)

    assert np.isfinite(head.logits(rows)).all()


def _lifted_moons() -> tuple[Lesson, np.ndarray, np.ndarray]:
    """Six labels, a pool, and rows and targets beside them. The moons are no matter of direction, so they lie on a sphere."""
    features, targets = _moons(600)
    lifted = np.column_stack([features, np.ones(600)]).astype(np.float32)
    lifted /= np.linalg.norm(lifted, axis=1, keepdims=True)
    lesson = replace(lesson_of(features[:6], targets[:6]), rows=lifted[:6], pool=lifted[6:400])
    return lesson, lifted[400:], targets


def test_neighbours_of_spread_labels_follow_the_moons_beyond_the_pool() -> None:
    lesson, rows, targets = _lifted_moons()

    assert _right(METHODS["spread_neighbours"].fit(lesson, 0).logits(rows), targets[400:]) > 0.95
    assert _right(METHODS["label_spreading"].fit(lesson, 0).logits(rows), targets[400:]) < 0.95


def test_spreading_is_what_scikit_learn_calls_so() -> None:
    lesson, _, _ = digits_lesson(40, pool=160)
    rows = np.concatenate([lesson.rows, lesson.pool])
    edges = neighbour_graph(rows).toarray()
    theirs = TheirSpreading(kernel="knn", alpha=0.95, max_iter=2000, tol=1e-9)
    theirs._build_graph = lambda: edges
    theirs.fit(rows, np.concatenate([lesson.targets, np.full(160, -1)]))
    labels = np.zeros((200, 10))
    labels[np.arange(40), lesson.targets] = 1
    mass = np.linalg.solve(np.eye(200) - 0.95 * edges, 0.05 * labels)  # where spreading ends, as Zhou et al. solve it
    level = mass / mass.sum(axis=0) * (labels.sum(axis=0) + 1)

    assert theirs.label_distributions_ == pytest.approx(mass / mass.sum(axis=1, keepdims=True), abs=1e-6)
    assert spread(neighbour_graph(rows), labels, steps=400) == pytest.approx(
        level / level.sum(axis=1, keepdims=True), abs=1e-6
    )


def test_a_row_that_no_label_reaches_is_left_at_nothing() -> None:
    island = np.zeros((6, 3), dtype=np.float32)
    island[:3, 0], island[3:, 1] = 1, 1
    labels = np.zeros((6, 2))
    labels[0, 1] = 1
    shares = spread(neighbour_graph(island, neighbours=2), labels)

    assert shares[:3].tolist() == [[0, 1]] * 3
    assert (shares[3:] == 0).all()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_graph_of_few_rows_has_no_loops(count: int) -> None:
    rows = np.eye(count, 5, dtype=np.float32)
    graph = neighbour_graph(rows)

    assert graph.shape == (count, count)
    assert (graph.diagonal() == 0).all()
    assert abs(graph - graph.T).max() == 0


def test_each_row_names_its_nearest_neighbours_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    whole = neighbour_graph(rows)
    monkeypatch.setattr("labelloop.learning.semisupervised.graph.AT_ONCE", 7)

    assert abs(neighbour_graph(rows) - whole).max() < 1e-6


def test_surest_rows_are_taken_of_every_class_alike() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.45, 0.55], [0.4, 0.6]])

    assert surest(probabilities, 0.5).tolist() == [0, 1, 5]
    assert surest(probabilities, 1.0, threshold=0.65).tolist() == [0, 1, 2]
    assert surest(probabilities[:0], 0.5).tolist() == []


def test_a_threshold_that_nothing_reaches_leaves_the_labels_alone() -> None:
    lesson, rows, _ = digits_lesson(40, pool=200)
    plain = HEADS["logistic"].fit(lesson, 0).logits(rows)

    assert PseudoLabel(threshold=1.1).fit(lesson, 0).logits(rows) == pytest.approx(plain, abs=1e-6)


def test_unlabelled_rows_alone_move_the_student() -> None:
    lesson, _, _ = digits_lesson(40, pool=100)
    generator = np.random.default_rng(0)
    student, teacher = _weights(generator), _weights(generator)
    slope = consistency_slope(student, teacher.probabilities(lesson.pool), lesson.pool)

    assert np.abs(slope.matrix).max() > 1e-5
    assert np.abs(slope.bias).max() > 1e-5


def test_the_slopes_are_the_slopes_of_the_losses() -> None:
    lesson, _, _ = digits_lesson(40, pool=50)
    generator = np.random.default_rng(0)
    student, taught = _weights(generator), _weights(generator).probabilities(lesson.pool)
    way = _weights(generator)

    def inconsistency(weights: Weights) -> float:
        return float(((weights.probabilities(lesson.pool) - taught) ** 2).sum(axis=1).mean())

    def surprise(weights: Weights) -> float:
        likely = weights.probabilities(lesson.rows)[np.arange(40), lesson.targets]
        return float(-np.log(likely).mean() + (weights.matrix**2).sum() / (2 * lesson.strength * 40))

    for loss, slope in (
        (inconsistency, consistency_slope(student, taught, lesson.pool)),
        (surprise, supervised_slope(student, lesson)),
    ):
        step = (loss(student.plus(way, 1e-5)) - loss(student.plus(way, -1e-5))) / 2e-5
        assert step == pytest.approx((slope.matrix * way.matrix).sum() + slope.bias @ way.bias, rel=1e-4)


def test_only_the_moving_average_changes_the_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    lesson, rows, _ = digits_lesson(40, pool=100)
    start = HEADS["logistic"].fit(lesson, 0).logits(rows)
    taught = METHODS["mean_teacher"].fit(lesson, 0).logits(rows)
    monkeypatch.setattr(teaching, "follow", lambda teacher, student: teacher)
    unmoved = METHODS["mean_teacher"].fit(lesson, 0).logits(rows)

    assert not np.allclose(taught, start, atol=1e-3)
    assert unmoved == pytest.approx(start, abs=1e-5)


def test_the_teacher_moves_a_little_towards_the_student() -> None:
    generator = np.random.default_rng(0)
    teacher, student = _weights(generator), _weights(generator)
    moved = follow(teacher, student)

    assert moved.matrix == pytest.approx(teacher.matrix + (1 - teaching.DECAY) * (student.matrix - teacher.matrix))


def test_consistency_ramps_up() -> None:
    ramps = [ramp(step) for step in range(teaching.STEPS)]

    assert ramps == sorted(ramps)
    assert ramps[0] < 0.01
    assert ramps[-1] == 1


def test_spreading_loses_where_neighbours_do_not_share_a_label() -> None:
    """What the choice between candidates must refuse (see the tests of the choice)."""
    features, targets = crossed_blobs(1000)
    lesson = lesson_of(features[:120], targets[:120], features[120:600])
    rest = lesson_of(features[:120], targets[:120], features[600:]).pool
    plain = _right(HEADS["logistic"].fit(lesson, 0).logits(rest), targets[600:])

    assert _right(METHODS["label_spreading"].fit(lesson, 0).logits(rest), targets[600:]) < plain - 0.1


def _weights(generator: np.random.Generator) -> Weights:
    return Weights(generator.normal(size=(10, 64)), generator.normal(size=10))

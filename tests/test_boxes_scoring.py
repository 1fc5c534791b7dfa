"""What a candidate box is worth, which are shown, and how much an image is to be doubted."""

import numpy as np
import pytest

from labelloop.learning.backbones.maps import pack
from labelloop.learning.boxes import fitting
from labelloop.learning.boxes.decoding import Candidates, decode
from labelloop.learning.boxes.figures import Judged, _coco, figures, mean_precision
from labelloop.learning.boxes.fitting import fit_head
from labelloop.learning.boxes.grids import read_grid
from labelloop.learning.boxes.lessons import Truth, make_lesson, usual_sides
from labelloop.learning.boxes.matching import hits
from labelloop.learning.boxes.scoring import MISSED, THRESHOLD, Scoring, fit_scoring
from labelloop.learning.calibrating import Reliability
from labelloop.learning.calibration import unfitted
from labelloop.learning.intervals import Interval

SCORING = Scoring(unfitted(2), 0.5, 0.2, Reliability("none"))


def random_image(rng: np.random.Generator, classes: int = 3) -> Judged:
    """Boxes, and candidates some of which are those boxes moved a little."""
    corners = np.sort(rng.uniform(0, 1, (rng.integers(0, 6), 2, 2)), axis=1).reshape(-1, 4)
    truth = Truth(corners, rng.integers(classes, size=len(corners)))
    near = np.clip(corners + rng.normal(0, 0.03, corners.shape), 0, 1)
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
    far = np.sort(rng.uniform(0, 1, (3, 2, 2)), axis=1).reshape(-1, 4)
    count = len(near) + len(far)
    logits = -np.sort(-rng.normal(0, 2, count))
    order = rng.permutation(count)
    columns = np.concatenate([truth.columns, rng.integers(classes, size=3)])[order]
    found = Candidates(np.concatenate([near, far])[order], columns, logits)
    scores = 1 / (1 + np.exp(-logits))
    return Judged(truth, found, scores, int((scores >= 0.5).sum()), (120, 240))


def test_the_average_precision_is_that_of_pycocotools() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        judged = [random_image(rng) for _ in range(5)]
        coco = _coco(judged, 3)[0]
        scores = np.concatenate([one.scores for one in judged])
        order = np.argsort(-scores, kind="stable")
        right = np.concatenate([hits(one.found, one.truth) for one in judged])[order]
        columns = np.concatenate([one.found.columns for one in judged])[order]
        boxes = np.bincount(np.concatenate([one.truth.columns for one in judged]), minlength=3)
        ours = mean_precision(right, columns, np.ones(len(order), dtype=np.int64), boxes)
        assert ours == pytest.approx(coco[coco >= 0].mean(), abs=1e-9)


def test_measuring_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    figures([random_image(rng) for _ in range(4)], ["a", "b", "c"], "holdout")
    assert capsys.readouterr() == ("", "")


def test_one_image_says_nothing_of_others() -> None:
    """Its interval was empty, so that a single image reached any target for certain."""
    corners = np.array([[0.1, 0.1, 0.4, 0.4]])
    truth, found = Truth(corners, np.array([0])), Candidates(corners, np.array([0]), np.array([2.0]))
    one = figures([Judged(truth, found, np.array([0.9]), 1, (100, 100))], ("a",), "holdout")

    assert one.value == pytest.approx(1)
    assert one.interval == Interval(0.0, 1.0)


def test_finding_nothing_where_there_is_something_is_worth_nothing() -> None:
    nothing = Candidates(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    one = Judged(Truth(np.array([[0.1, 0.1, 0.5, 0.5]]), np.array([0])), nothing, np.zeros(0), 0, (10, 10))
    said = figures([one], ["a"], "holdout")
    assert (said.value, said.others["F1"]) == (0, 0)


def test_a_drawn_box_is_taken_once_and_by_its_own_class_alone() -> None:
    box = [0.1, 0.1, 0.5, 0.5]
    found = Candidates(np.array([box, box, box]), np.array([1, 0, 0]), np.array([3.0, 2.0, 1.0]))
    assert hits(found, Truth(np.array([box]), np.array([0]))).tolist() == [False, True, False]


def test_doubt_grows_with_doubtful_boxes_and_with_what_is_nearly_shown() -> None:
    sure = SCORING.uncertainty(np.array([0.98, 0.97]))
    doubtful = SCORING.uncertainty(np.array([0.98, 0.55]))
    nearly = SCORING.uncertainty(np.array([0.98, 0.97, 0.45, 0.4]))
    assert 0 <= sure < doubtful < 1
    assert sure < nearly < 1
    # It is of the image's boxes on the whole, not of how many there are.
    assert SCORING.uncertainty(np.full(40, 0.9)) == pytest.approx(SCORING.uncertainty(np.full(4, 0.9)))


def test_an_image_of_which_nothing_is_shown_is_doubted_as_much_as_such_images_hold_a_box() -> None:
    assert SCORING.uncertainty(np.zeros(0)) == pytest.approx(0.2)
    assert SCORING.confidence(np.zeros(0)) == pytest.approx(0.8)
    assert SCORING.uncertainty(np.array([0.4, 0.1])) == pytest.approx(1 - 0.8 * 0.6 * 0.9)


def test_the_threshold_gives_the_best_f1_on_other_images() -> None:
    rng = np.random.default_rng(3)
    judged = [random_image(rng) for _ in range(60)]
    found, truths = [one.found for one in judged], [one.truth for one in judged]
    scoring = fit_scoring(found, truths)
    boxes = sum(len(truth.columns) for truth in truths)
    scores = np.concatenate([scoring.scores(one) for one in found])
    right = np.concatenate([hits(one, truth) for one, truth in zip(found, truths, strict=True)])

    def f1(threshold: float) -> float:
        shown = scores >= threshold
        return float(2 * right[shown].sum() / (shown.sum() + boxes))

    assert f1(scoring.threshold) == pytest.approx(max(f1(t) for t in scores))
    # Calibrated: of a hundred candidates at 0.7 about seventy are right.
    assert scores.mean() == pytest.approx(right.mean(), abs=0.03)
    again = Scoring.restore(scoring.arrays(), scoring.to_json())
    assert again.scores(found[0]).tolist() == scoring.scores(found[0]).tolist()


def test_without_images_to_learn_from_scores_stay_as_they_are() -> None:
    scoring = fit_scoring([], [])
    assert (scoring.threshold, scoring.missed) == (THRESHOLD, MISSED)
    found = Candidates(np.zeros((2, 4)), np.zeros(2, np.int64), np.array([0.0, -2.0]))
    assert scoring.scores(found) == pytest.approx([0.5, 1 / (1 + np.exp(2))])


def test_a_lesson_read_back_gives_the_boxes() -> None:
    corners = np.array([[0.1, 0.2, 0.4, 0.5], [0.5, 0.5, 1.0, 0.9], [0.62, 0.1, 0.68, 0.16]])
    truth = Truth(corners, np.array([0, 1, 0]))
    scales = usual_sides([truth], 2, 20, 20)
    lesson = make_lesson(truth, scales, np.ones(2, np.float32), 20, 20)
    assert lesson.weights.sum() == pytest.approx(3, abs=1e-4)
    with np.errstate(divide="ignore"):
        found = decode(np.log(lesson.heat / (1.0001 - lesson.heat)), lesson.sides, scales)
    best = np.argsort(found.corners[:3, 0])
    assert found.columns[best].tolist() == [0, 1, 0]
    assert np.abs(found.corners[best] - corners).max() < 1e-5


def test_boxes_of_one_class_that_cover_each_other_are_one() -> None:
    logits = np.full((2, 9, 9), -9.0)
    logits[0, 4, 2], logits[0, 4, 4], logits[1, 4, 6] = 2.0, 3.0, 1.0
    found = decode(logits, np.ones((4, 9, 9)), np.full((2, 4), 4.0))
    assert list(zip(found.columns.tolist(), found.logits.tolist(), strict=True)) == [(0, 3.0), (1, 1.0)]


def test_numpy_says_what_torch_says() -> None:
    import torch
    from torch.nn.functional import conv2d, relu

    rng = np.random.default_rng(0)
    grids = [rng.normal(size=(5, 8, 8)).astype(np.float32) for _ in range(2)]
    truths = [Truth(np.array([[0.2, 0.2, 0.6, 0.7]]), np.array([0]))] * 2
    head = fit_head(grids, truths, 2, seed=0, share=0.04)
    a = {name: torch.from_numpy(array) for name, array in head.arrays.items()}
    seen = torch.from_numpy(grids[0])[None] - a["centre"][:, None, None]
    seen = relu(conv2d(seen, a["mix.weight"][..., None, None], a["mix.bias"]))
    for i in range(2):
        around = conv2d(seen, a[f"around.{i}.weight"][:, None], padding=1, groups=seen.shape[1])
        seen = relu(conv2d(around, a[f"across.{i}.weight"][..., None, None], a[f"across.{i}.bias"]) + seen)
    told = conv2d(seen, a["tell.weight"][..., None, None], a["tell.bias"])[0].numpy()
    logits, sides = head(grids[0])
    assert np.allclose(logits, told[:2], atol=1e-4)
    assert np.allclose(sides, np.exp(told[2:]), atol=1e-4)


def test_levels_of_several_sizes_become_one_grid() -> None:
    fine, coarse = np.arange(96 * 96).reshape(1, 96, 96) / 9216, np.full((2, 12, 12), 7.0)
    middle = np.ones((1, 48, 48))
    grid = read_grid(pack(10, 20, [fine, middle, coarse]))
    assert grid.shape == (4, 48, 48)
    assert np.allclose(grid[0], fine[0].reshape(48, 2, 48, 2).mean(axis=(1, 3)), atol=1e-3)
    assert np.allclose(grid[2:], 7)


def test_a_part_of_the_cells_of_many_images_tells_what_channels_vary_by(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    grids = [(mix @ rng.normal(size=(6, 400))).reshape(6, 20, 20).astype(np.float32) for _ in range(60)]
    monkeypatch.setattr(fitting, "MOST_CELLS", 2000)
    centre, basis = fitting._whitening(grids)
    cells = basis @ (np.concatenate([grid.reshape(6, -1) for grid in grids], axis=1) - centre[:, None])

    assert cells.mean(axis=1) == pytest.approx(np.zeros(6), abs=0.1)
    assert np.cov(cells) == pytest.approx(np.eye(6), abs=0.1)

"""The classification learner with items that have no label, with ensembles, and with versions of an older form."""

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from labelloop.errors import LearningError
from labelloop.learning import COMBINATIONS, RECIPES, SEMI_SUPERVISED, ClassificationLearner
from labelloop.learning.recipes import AUTO
from labelloop.records import ClassTarget
from labelloop.settings import Settings
from support.lessons import crossed_blobs, digits

NAMES = tuple("0123456789")


def _targets(labels: np.ndarray) -> list[ClassTarget]:
    return [ClassTarget(str(label)) for label in labels]


def _through_the_store(learner: ClassificationLearner) -> ClassificationLearner:
    meta = json.loads(json.dumps(learner.meta()))
    assert meta == learner.meta()
    return ClassificationLearner.from_arrays(load(save(learner.arrays())), meta)


@pytest.fixture(scope="module")
def taught() -> ClassificationLearner:
    features, labels = digits()
    return ClassificationLearner.fit(features[:60], _targets(labels[:60]), NAMES, unlabelled=features[60:1000])


def test_the_pool_teaches(taught: ClassificationLearner) -> None:
    features, labels = digits()
    alone = ClassificationLearner.fit(features[:60], _targets(labels[:60]), NAMES)
    truth = _targets(labels[1000:])

    assert taught.choice is not None
    assert taught.choice.method in {*AUTO, "blend"}
    assert "beats logistic" in taught.choice.reason
    assert taught.evaluate(features[1000:], truth).accuracy > alone.evaluate(features[1000:], truth).accuracy
    assert alone.choice is not None
    assert alone.choice.reason == (
        "logistic stays: no candidate was tried; 0 items without a label are too few to learn from."
    )


def test_what_was_chosen_is_stored(taught: ClassificationLearner) -> None:
    features, _ = digits()
    restored = _through_the_store(taught)

    assert restored.choice == taught.choice
    assert restored.reliability == taught.reliability
    assert restored.predict(features[1000:1050]) == taught.predict(features[1000:1050])


def test_a_manifest_shows_head_method_and_calibration(taught: ClassificationLearner) -> None:
    meta = taught.meta()

    assert meta["head"]["kind"] in {"linear", "kernel", "neighbours", "blend"}
    assert meta["choice"]["method"] == taught.choice.method if taught.choice else False
    assert meta["calibration"]["method"] in {"none", "temperature", "vector", "isotonic"}
    assert 0 <= meta["calibration"]["ece_after"] <= meta["calibration"]["ece_before"] + 0.01
    assert sum(bar["count"] for bar in meta["calibration"]["bins"]) == meta["calibration"]["items"] > 0


@pytest.mark.parametrize("method", SEMI_SUPERVISED)
def test_what_each_method_gives_is_restored(method: str) -> None:
    features, labels = digits()
    learner = ClassificationLearner.fit(
        features[:40], _targets(labels[:40]), NAMES, unlabelled=features[60:260], semi_supervised=method
    )

    assert _through_the_store(learner).predict(features[1000:1020]) == learner.predict(features[1000:1020])


def test_a_version_of_before_heads_were_chosen_still_loads() -> None:
    features, labels = digits()
    plain = ClassificationLearner.fit(features[:60], _targets(labels[:60]), NAMES)
    meta = {name: plain.meta()[name] for name in ("kind", "classes", "uncertainty", "cv_metrics")}
    arrays = {name: plain.arrays()[name] for name in ("centre", "seen", "temperature", "offsets", "weights", "bias")}
    old = ClassificationLearner.from_arrays(arrays, meta)

    assert old.probabilities(features[:20]) == pytest.approx(plain.probabilities(features[:20]))
    assert old.choice is None
    assert _through_the_store(old).predict(features[:5]) == old.predict(features[:5])


def test_a_pool_that_would_hurt_is_not_learnt_from() -> None:
    features, labels = crossed_blobs(900)
    learner = ClassificationLearner.fit(
        features[:120],
        _targets(labels[:120]),
        ("0", "1"),
        unlabelled=features[120:600],
        semi_supervised="label_spreading",
    )

    assert learner.choice is not None
    spreading, *_ = learner.choice.comparisons
    assert spreading.name == "label_spreading"
    assert not spreading.wins
    assert learner.choice.method != "label_spreading"
    assert learner.choice.reason.endswith(", without label_spreading.")
    assert learner.evaluate(features[600:], _targets(labels[600:])).accuracy > 0.9


@pytest.mark.parametrize("pool", [np.zeros((0, 64)), np.full((200, 64), np.nan), np.zeros((200, 64))])
def test_a_pool_without_anything_in_it_breaks_nothing(pool: np.ndarray) -> None:
    features, labels = digits()
    learner = ClassificationLearner.fit(features[:40], _targets(labels[:40]), NAMES, unlabelled=pool.astype(np.float32))

    assert learner.predict(features[40:41])[0].label in NAMES


def test_a_holdout_that_lacks_a_class_or_has_an_unknown_one_still_has_its_say() -> None:
    features, labels = digits(3)
    known = labels[:30] != 2
    holdout = (features[30:80], _targets(labels[30:80]))
    learner = ClassificationLearner.fit(
        features[:30][known], _targets(labels[:30][known]), NAMES, unlabelled=features[80:], holdout=holdout
    )

    assert learner.choice is not None
    expected = known.sum() + (labels[30:80] != 2).sum()
    assert {comparison.items for comparison in learner.choice.comparisons} == {expected}


def test_an_ensemble_is_taken_where_it_does_better() -> None:
    """Rings are no matter of direction: neighbours know them, planes do not."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 400)
    direction = (
        np.where(labels, np.pi / 2, 0) + np.pi * generator.integers(0, 2, 400) + generator.normal(size=400) * 0.2
    )
    features = np.column_stack([np.cos(direction), np.sin(direction)]).astype(np.float32)
    learner = ClassificationLearner.fit(
        features[:200], _targets(labels[:200]), ("0", "1"), ensemble=["logistic", "knn"], combination="stacking"
    )
    restored = _through_the_store(learner)

    assert learner.choice is not None
    assert learner.choice.method == "ensemble"
    assert learner.evaluate(features[200:], _targets(labels[200:])).accuracy > 0.9
    assert restored.predict(features[:9]) == learner.predict(features[:9])
    assert learner.meta()["head"]["combination"] == "stacking"


def test_members_of_an_ensemble_stand_in_the_config_s_order() -> None:
    generator = np.random.default_rng(0)
    labels = np.where(generator.random(200) < 0.5, 5, 3)
    direction = np.where(labels == 5, np.pi / 2, 0) + np.pi * generator.integers(0, 2, 200)
    features = np.column_stack([np.cos(direction), np.sin(direction)]).astype(np.float32)
    learner = ClassificationLearner.fit(features, _targets(labels), NAMES, ensemble=["knn", "knn", "boosting"])
    said = learner.members(features[:4])

    assert said.shape == (3, 4, 10)
    assert (said[:, :, [0, 1, 2, 4, 6, 7, 8, 9]] == 0).all()
    assert said.sum(axis=2) == pytest.approx(np.ones((3, 4)))


def test_two_backbones_are_read_side_by_side() -> None:
    features, labels = digits()
    both = np.concatenate([features[:, :32], 100 * features[:, 32:]], axis=1)
    learner = ClassificationLearner.fit(
        both[:80], _targets(labels[:80]), NAMES, blocks=(32, 32), ensemble=["logistic"], combination="average"
    )
    restored = _through_the_store(learner)

    assert learner.evaluate(both[80:], _targets(labels[80:])).accuracy > 0.8
    assert restored.predict(both[:9]) == learner.predict(both[:9])
    with pytest.raises(LearningError, match="Backbones of 60 columns do not go with rows of 64"):
        ClassificationLearner.fit(both[:80], _targets(labels[:80]), NAMES, blocks=(30, 30))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"semi_supervised": "magic"}, "No semi-supervised method is called 'magic'"),
        ({"ensemble": ["oracle"]}, "No head is called 'oracle'"),
        ({"ensemble": ["knn"], "combination": "fight"}, "No combination is called 'fight'"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_before_training(asked: dict[str, object], answer: str) -> None:
    with pytest.raises(LearningError, match=answer):
        ClassificationLearner.fit(np.zeros((0, 3)), [], ("a", "b"), **asked)  # type: ignore[arg-type]


def test_settings_offer_what_there_is() -> None:
    for name in SEMI_SUPERVISED:
        assert Settings(semi_supervised=name).semi_supervised == name
    for name in COMBINATIONS:
        assert Settings(ensemble_combination=name).ensemble_combination == name
    assert Settings(ensemble=",".join(RECIPES)).ensemble == list(RECIPES)


def test_a_pool_of_another_backbone_is_refused() -> None:
    features, labels = digits()
    with pytest.raises(LearningError, match=r"A pool of shape \(50, 9\) does not go with rows of 64 features"):
        ClassificationLearner.fit(
            features[:40], _targets(labels[:40]), NAMES, unlabelled=np.zeros((50, 9), dtype=np.float32)
        )

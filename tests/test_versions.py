"""A version is whole or not there; the pointer names one; old ones go by the rule."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from labelloop.errors import StoreError, VersionError
from labelloop.learning import BackboneSpec, ClassificationLearner, ResolvedBackbone
from labelloop.records import ClassTarget, Control, Modality
from labelloop.service.store import Store
from labelloop.service.versions import LearnerRecord, Version, Versions, _file_of, is_version_name

CONTROL = Control("class", "Choices", "image", "image", Modality.IMAGE, ("cat", "dog", "emu"))
SPEC = BackboneSpec(Modality.IMAGE, "plain")
RESOLVED = ResolvedBackbone("plain", "plain-1", 4, "")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


@pytest.fixture
def versions(store: Store) -> Versions:
    return Versions(store, "projects/p")


@pytest.fixture(scope="module")
def learner() -> ClassificationLearner:
    features = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    features[:10] += 5
    targets = [ClassTarget("cat")] * 10 + [ClassTarget("dog")] * 10
    return ClassificationLearner.fit(features, targets, CONTROL.labels)


def publish(versions: Versions, learner: ClassificationLearner, parent: str | None = None) -> Version:
    name, number = versions.next_name("trained")
    record = LearnerRecord(
        CONTROL, CONTROL.labels, learner.kind, SPEC, RESOLVED, learner.meta(), cv_metrics=learner.cv_metrics
    )
    version = Version(name, number, "2026-01-01T00:00:00+00:00", "trained", parent, "margin", (record,), labels=20)
    versions.publish(version, {"class": learner}, {"labels": {"class": {"1": "cat"}}})
    return version


def test_nothing_is_live_at_first(versions: Versions) -> None:
    assert versions.live_name() is None
    assert versions.live() is None
    assert versions.all() == []


def test_a_published_version_is_live_and_comes_back_whole(versions: Versions, learner: ClassificationLearner) -> None:
    published = publish(versions, learner)
    assert versions.live() == published
    assert versions.labels(published.name)["labels"] == {"class": {"1": "cat"}}
    record = published.learners[0]
    again = ClassificationLearner.from_arrays(versions.arrays(published.name, "class"), record.meta)
    features = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    np.testing.assert_allclose(again.probabilities(features), learner.probabilities(features), rtol=1e-6)


def test_names_count_up_and_say_when(versions: Versions, learner: ClassificationLearner) -> None:
    moment = datetime(2026, 11, 24, 2, 15, 30, tzinfo=UTC)
    assert versions.next_name("cold", moment) == ("v1-20261124-021530-cold", 1)
    publish(versions, learner)
    assert versions.next_name("trained", moment) == ("v2-20261124-021530", 2)


def test_a_version_without_its_manifest_does_not_exist(
    versions: Versions, store: Store, learner: ClassificationLearner
) -> None:
    live = publish(versions, learner)
    store.write("projects/p/versions/v9-20260101-000000/learner-class.safetensors", b"half")
    assert [version.name for version in versions.all()] == [live.name]
    with pytest.raises(VersionError, match="There is no version"):
        versions.make_live("v9-20260101-000000")
    assert versions.next_name("trained")[1] == 10


def test_rolling_back_moves_the_pointer_only(versions: Versions, learner: ClassificationLearner) -> None:
    first = publish(versions, learner)
    second = publish(versions, learner, first.name)
    versions.make_live(first.name)
    assert versions.live_name() == first.name
    assert [version.name for version in versions.all()] == [second.name, first.name]


@pytest.mark.parametrize("name", ["../../etc", "v1", "", "v1-20260101-000000/../x"])
def test_a_name_that_is_none_is_refused(versions: Versions, name: str) -> None:
    with pytest.raises(VersionError, match="There is no version"):
        versions.get(name)


def test_retention_keeps_the_newest_the_live_one_and_its_parent(
    versions: Versions, learner: ClassificationLearner
) -> None:
    names = [publish(versions, learner).name]
    for _ in range(4):
        names.append(publish(versions, learner, names[-1]).name)
    versions.make_live(names[1])
    assert versions.retire(keep=2) == [names[2]]
    assert {version.name for version in versions.all()} == {names[0], names[1], names[3], names[4]}


def test_nothing_is_left_of_a_version_that_cannot_be_written_whole(
    versions: Versions, store: Store, learner: ClassificationLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = publish(versions, learner)

    def full(path: str, value: object) -> None:
        raise StoreError("No space left on device.")

    monkeypatch.setattr(store, "write_json", full)
    with pytest.raises(StoreError, match="No space left"):
        publish(versions, learner, live.name)
    assert store.names("projects/p/versions") == [live.name]
    assert versions.live() == live


def test_of_two_publishers_with_one_name_the_second_leaves_the_first_alone(
    versions: Versions, learner: ClassificationLearner
) -> None:
    """Both have asked for a name within one second, before either had written anything."""
    first = publish(versions, learner)
    second = replace(first, reason="another")

    with pytest.raises(VersionError, match="Another process publishes"):
        versions.publish(second, {"class": learner}, {"labels": {"class": {"2": "dog"}}})

    assert versions.live() == first
    assert versions.labels(first.name)["labels"] == {"class": {"1": "cat"}}


def test_what_a_killed_process_left_of_a_version_goes_and_what_is_under_way_stays(
    versions: Versions, store: Store, learner: ClassificationLearner
) -> None:
    first = publish(versions, learner)
    store.write("projects/p/versions/v2-20260101-000000/learner-class.safetensors", b"half")
    third = publish(versions, learner, first.name)
    store.write("projects/p/versions/v4-20260101-000000/learner-class.safetensors", b"half")
    assert versions.retire(keep=2) == ["v2-20260101-000000"]
    assert store.names("projects/p/versions") == [first.name, third.name, "v4-20260101-000000"]


def test_a_control_with_an_odd_name_keeps_its_learner_apart(versions: Versions, learner: ClassificationLearner) -> None:
    name, number = versions.next_name("trained")
    version = Version(name, number, "", "trained", None, "margin")
    versions.publish(version, {"a/b": learner, "..": learner}, {})
    assert versions.arrays(name, "a/b").keys() == learner.arrays().keys()
    assert versions.arrays(name, "..").keys() == learner.arrays().keys()


def test_controls_whose_names_look_alike_have_files_of_their_own() -> None:
    names = ["质量", "颜色", "a b", "a_b", "a/b", "A_b", "x" * 300, "x" * 301, "a b" * 100]
    files = {_file_of(name) for name in names}

    assert len(files) == len(names)
    assert all(len(file.encode()) < 200 and "/" not in file for file in files)


def test_a_learner_that_is_not_there_is_reported(versions: Versions, learner: ClassificationLearner) -> None:
    version = publish(versions, learner)
    with pytest.raises(VersionError, match="no learner for 'other'"):
        versions.arrays(version.name, "other")


def test_only_our_names_are_ours() -> None:
    assert is_version_name("v12-20261124-021530")
    assert is_version_name("v1-20261124-021530-cold")
    assert not is_version_name("v2-of-somebody")
    assert not is_version_name("bert")

"""Features are found by what they were computed from, across processes, shards and compaction."""

from pathlib import Path

import numpy as np
import pytest

from labelloop.learning import Dense
from labelloop.records import Modality
from labelloop.service import features as service_features
from labelloop.service.features import COMPACT_ABOVE, COMPACT_DENSE, Features, content_key, item_key
from labelloop.service.store import Store

DIM = 5


def keys(*names: object) -> list[str]:
    return [item_key(Modality.TEXT, name) for name in names]


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def open_features(root: Path, backbone: str = "plain") -> Features:
    return Features(Store(str(root)), "projects/p", backbone, root / "cache")


def test_features_come_back_in_the_order_asked(tmp_path: Path) -> None:
    features, matrix = open_features(tmp_path), rows(30)
    features.add(keys(*range(30)), keys(*range(30)), matrix)
    wanted = [7, 3, 29]
    found, mask = features.get(keys(*wanted))
    assert mask.all()
    np.testing.assert_array_equal(found, matrix[wanted])


def test_missing_items_are_told_by_the_mask(tmp_path: Path) -> None:
    features = open_features(tmp_path)
    features.add(keys("a"), keys("a"), rows(1))
    found, mask = features.get(keys("unknown", "a"))
    assert mask.tolist() == [False, True]
    assert found.shape == (1, DIM)


def test_an_empty_cache_answers(tmp_path: Path) -> None:
    found, mask = open_features(tmp_path).get(keys("a", "b"))
    assert found.shape[0] == 0
    assert not mask.any()


def test_what_another_process_adds_is_seen_after_a_refresh(tmp_path: Path) -> None:
    reader, writer = open_features(tmp_path), open_features(tmp_path)
    writer.add(keys("a"), keys("content"), rows(1))
    assert len(reader) == 0
    reader.refresh()
    assert reader.contents(keys("a", "b")) == [keys("content")[0], None]


def test_many_small_shards_are_merged_and_nothing_is_lost(tmp_path: Path) -> None:
    writer, matrix = open_features(tmp_path), rows(COMPACT_ABOVE + 5)
    early = open_features(tmp_path)
    for row in range(COMPACT_ABOVE + 5):
        writer.add(keys(row), keys(row), matrix[row : row + 1])
        if row == 10:
            early.refresh()
    shards = Store(str(tmp_path)).names("projects/p/features/plain")
    assert len(shards) <= COMPACT_ABOVE
    for features in (writer, open_features(tmp_path)):
        found, _ = features.get(keys(*range(COMPACT_ABOVE + 5)))
        np.testing.assert_array_equal(found, matrix)
    np.testing.assert_array_equal(early.get(keys(*range(11)))[0], matrix[:11])
    early.refresh()
    np.testing.assert_array_equal(early.get(keys(*range(COMPACT_ABOVE)))[0], matrix[:COMPACT_ABOVE])


def test_another_backbone_has_features_of_its_own(tmp_path: Path) -> None:
    open_features(tmp_path, "one").add(keys("a"), keys("a"), rows(1))
    assert len(open_features(tmp_path, "two")) == 0


def test_a_remote_store_is_mapped_through_local_copies(tmp_path: Path) -> None:
    store, matrix = Store(f"memory://{tmp_path.name}"), rows(3)
    Features(store, "p", "plain", tmp_path / "one").add(keys(1, 2, 3), keys(1, 2, 3), matrix)
    found, _ = Features(store, "p", "plain", tmp_path / "two").get(keys(2))
    np.testing.assert_array_equal(found, matrix[1:2])


def test_copies_of_a_remote_stores_shards_go_when_these_are_compacted(tmp_path: Path) -> None:
    store, matrix = Store(f"memory://{tmp_path.name}"), rows(COMPACT_ABOVE + 1)
    writer = Features(store, "p", "plain", tmp_path / "one")
    for number in range(COMPACT_ABOVE):
        writer.add(keys(number), keys(number), matrix[number : number + 1])
    reader = Features(store, "p", "plain", tmp_path / "two")
    writer.add(keys(COMPACT_ABOVE), keys(COMPACT_ABOVE), matrix[COMPACT_ABOVE:])
    reader.refresh()

    for features, cache in ((writer, "one"), (reader, "two")):
        assert len(list((tmp_path / cache).rglob("*.safetensors"))) == 1
        np.testing.assert_array_equal(features.get(keys(*range(COMPACT_ABOVE + 1)))[0], matrix)


@pytest.mark.parametrize("where", ["memory://{name}", "{path}"])
def test_a_shard_that_is_merged_between_listing_and_opening_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    store, matrix = Store(where.format(name=tmp_path.name, path=tmp_path)), rows(2)
    features = Features(store, "p", "plain", tmp_path / "one")
    features.add(keys(1), keys(1), matrix[:1])
    names = store.names
    monkeypatch.setattr(store, "names", lambda folder: [*names(folder), f"{'0' * 32}.safetensors"])
    features.refresh()
    np.testing.assert_array_equal(features.get(keys(1))[0], matrix[:1])


def test_a_damaged_shard_costs_its_own_items_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    features, matrix = open_features(tmp_path), rows(4)
    features.add(keys(1, 2), keys(1, 2), matrix[:2])
    (sound,) = (tmp_path / "projects/p/features/plain").iterdir()
    features.add(keys(3, 4), keys(3, 4), matrix[2:])
    (other,) = {*(tmp_path / "projects/p/features/plain").iterdir()} - {sound}
    other.write_bytes(other.read_bytes()[: other.stat().st_size // 2])

    again = open_features(tmp_path)
    assert again.get(keys(1, 2, 3, 4))[1].tolist() == [True, True, False, False]
    assert f"{other.name} is damaged" in caplog.text
    again.add(keys(3, 4), keys(3, 4), matrix[2:])
    np.testing.assert_array_equal(open_features(tmp_path).get(keys(1, 2, 3, 4))[0], matrix)


@pytest.mark.parametrize("value", ["", "a\0b", "\ud800 lone surrogate", 12, None, {"nested": [1]}])
def test_any_data_value_has_a_key(value: object) -> None:
    assert len(item_key(Modality.IMAGE, value)) == 64
    assert (
        len({item_key(Modality.IMAGE, value), item_key(Modality.TEXT, value), item_key(Modality.TEXT, value, "so")})
        == 3
    )


def test_content_is_told_by_its_bytes() -> None:
    assert content_key(b"same") == content_key("same") != content_key("other")


def dense(count: int, seed: int = 0) -> list[Dense]:
    generator = np.random.default_rng(seed)
    return [Dense(generator.normal(size=3 * n).astype(np.float16), np.arange(n, dtype=np.int32)) for n in range(count)]


def same(one: Dense, other: Dense) -> bool:
    return one.values.tolist() == other.values.tolist() and one.places.tolist() == other.places.tolist()


def test_dense_features_of_any_length_come_back_beside_the_rows(tmp_path: Path) -> None:
    features, parts = open_features(tmp_path), dense(6)
    features.add(keys(*range(6)), keys(*range(6)), rows(6), parts)
    found = features.dense(keys(5, "unknown", 0, 3))
    assert [same(one, parts[i]) for one, i in zip(found, (5, 0, 3), strict=True)] == [True] * 3
    assert same(found.take([2])[0], parts[3])
    assert [same(one, parts[i]) for one, i in zip(found[1:], (0, 3), strict=True)] == [True] * 2


def test_items_without_dense_features_have_empty_ones(tmp_path: Path) -> None:
    features = open_features(tmp_path)
    features.add(keys("a"), keys("a"), rows(1))
    (found,) = features.dense(keys("a"))
    assert (found.values.size, found.places.size) == (0, 0)


def test_small_shards_with_dense_features_are_merged_and_large_ones_left(tmp_path: Path) -> None:
    features, large = open_features(tmp_path), COMPACT_DENSE + 1
    features.add(keys(*range(large)), keys(*range(large)), rows(large), dense(large))
    for number in range(COMPACT_ABOVE + 1):
        features.add(keys(f"s{number}"), keys(number), rows(1), dense(2, seed=number)[1:])
    names = Store(str(tmp_path)).names("projects/p/features/plain")
    assert len(names) < 5
    again = open_features(tmp_path)
    assert len(again) == large + COMPACT_ABOVE + 1
    assert same(again.dense(keys("s7"))[0], dense(2, seed=7)[1])
    assert same(again.dense(keys(9))[0], dense(large)[9])


def test_a_shard_of_few_items_with_many_numbers_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, long = open_features(tmp_path), dense(8)[7]
    monkeypatch.setattr(service_features, "COMPACT_NUMBERS", long.values.size - 1)
    features.add(keys("long"), keys("long"), rows(1), [long])
    (name,) = Store(str(tmp_path)).names("projects/p/features/plain")
    for number in range(COMPACT_ABOVE + 1):
        features.add(keys(f"s{number}"), keys(number), rows(1), dense(2, seed=number)[1:])
    names = Store(str(tmp_path)).names("projects/p/features/plain")

    assert name in names
    assert len(names) < 5
    assert same(open_features(tmp_path).dense(keys("long"))[0], long)

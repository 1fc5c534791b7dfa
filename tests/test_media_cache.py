"""The media cache is bounded, whole, and shared."""

import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from labelloop.labelstudio.media_cache import ABANDONED_AFTER, TEMPORARY, MediaCache


def key(number: int) -> str:
    return f"{number:064x}"


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_is_kept_is_found_by_another_process(tmp_path: Path) -> None:
    MediaCache(tmp_path, 1000).put(key(1), b"bytes")
    assert MediaCache(tmp_path, 1000).get(key(1)) == b"bytes"
    assert MediaCache(tmp_path, 1000).get(key(2)) is None


def test_it_never_outgrows_its_limit(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, 10_000)
    for number in range(200):
        cache.put(key(number), bytes(300))
        assert size_of(tmp_path) <= 10_000 + 10_000 // 16 + 300
    assert size_of(tmp_path) > 5_000


def test_what_was_asked_for_lately_stays(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, 10_000)
    for number in range(30):
        cache.put(key(number), bytes(300))
        path = tmp_path / key(number)[:2] / key(number)
        os.utime(path, (number, number))
    assert cache.get(key(0)) is not None
    cache.put(key(100), bytes(3000))
    assert cache.get(key(0)) is not None
    assert cache.get(key(1)) is None


def test_a_new_process_counts_what_others_left(tmp_path: Path) -> None:
    for number in range(100):
        MediaCache(tmp_path, 10_000_000).put(key(number), bytes(300))
    MediaCache(tmp_path, 10_000).put(key(200), bytes(300))
    assert size_of(tmp_path) <= 10_000


@pytest.mark.parametrize("limit", [0, 4])
def test_what_does_not_fit_is_not_kept(tmp_path: Path, limit: int) -> None:
    cache = MediaCache(tmp_path / "cache", limit)
    cache.put(key(1), b"bytes")
    assert cache.get(key(1)) is None
    assert not (tmp_path / "cache").exists()


def test_parts_left_by_a_killed_process_are_swept_up_and_fresh_ones_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "00"
    folder.mkdir()
    old, new = folder / f"{TEMPORARY}old", folder / f"{TEMPORARY}new"
    for part in (old, new):
        part.write_bytes(b"half")
    long_ago = time.time() - ABANDONED_AFTER - 10
    os.utime(old, (long_ago, long_ago))
    MediaCache(tmp_path, 1000).put(key(1), b"bytes")
    assert (old.exists(), new.exists()) == (False, True)


def test_a_disk_that_cannot_be_written_costs_the_cache_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("in the way")
    cache = MediaCache(tmp_path / "cache", 1000)
    cache.put(key(1), b"bytes")
    assert cache.get(key(1)) is None
    assert "fetched again" in caplog.text


def hammer(folder: str, seed: int) -> int:
    """Write and read the same few keys as fast as possible; count reads that were not whole."""
    cache = MediaCache(Path(folder), 200_000)

    def work(number: int) -> int:
        content = bytes([number % 7]) * 20_000
        cache.put(key(number % 7), content)
        found = cache.get(key(number % 7))
        return found is not None and found != content

    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(work, range(seed, seed + 150)))


def test_processes_and_threads_at_once_never_see_half_a_file(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        torn = list(pool.map(hammer, [str(tmp_path)] * 3, [0, 1, 2]))
    assert torn == [0, 0, 0]
    assert not list(tmp_path.rglob(f"{TEMPORARY}*"))

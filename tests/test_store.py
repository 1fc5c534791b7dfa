"""The store gives back whole files or nothing, and says in one sentence what is wrong with it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from labelloop.errors import StoreError
from labelloop.service.store import Store
from support.site import Site


@pytest.fixture(params=["directory", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store") if request.param == "directory" else f"memory://{tmp_path.name}")


def test_what_was_written_is_read_back(store: Store) -> None:
    store.write("a/b/c.bin", b"\x00\xff")
    assert store.read("a/b/c.bin") == b"\x00\xff"


def test_a_missing_file_reads_as_none(store: Store) -> None:
    assert store.read("nothing/here") is None
    assert store.read_json("nothing/here") is None


def test_a_folder_reads_as_none(store: Store) -> None:
    store.write("folder/file", b"x")
    assert store.read("folder") is None


def test_json_round_trips_with_integer_keys_as_text(store: Store) -> None:
    store.write_json("state.json", {7: {"score": 0.25}})
    assert store.read_json("state.json") == {"7": {"score": 0.25}}


@pytest.mark.parametrize("value", [2**64, -(2**70), "half a pair: \ud83d", {"deep": [{"hash": 2**64}]}])
def test_what_other_programs_may_put_into_a_task_is_kept(store: Store, value: object) -> None:
    store.write_json("odd.json", {"task": value, "text": "naïve 🙂"})

    found = store.read_json("odd.json")
    assert found["text"] == "naïve 🙂"
    assert found["task"] == value


def test_broken_json_counts_as_missing(store: Store) -> None:
    store.write("state.json", b'{"half": ')
    assert store.read_json("state.json") is None


def test_a_file_is_taken_once(store: Store) -> None:
    """Of several processes that find a name free at the same time one has it."""
    taken: list[bool] = []
    ready = threading.Barrier(4)

    def take() -> None:
        ready.wait()
        taken.append(store.take("v1/taken"))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == [False, False, False, True]
    assert store.take("v2/taken")
    store.delete("v1")
    assert store.take("v1/taken")


def test_names_lists_files_and_folders_sorted(store: Store) -> None:
    for path in ("p/z.json", "p/a/inner.json", "p/m.json"):
        store.write(path, b"{}")
    assert store.names("p") == ["a", "m.json", "z.json"]
    assert store.names("q") == []


def test_delete_removes_a_folder_and_forgives_what_is_not_there(store: Store) -> None:
    store.write("p/a/inner.json", b"{}")
    store.delete("p")
    store.delete("p")
    assert store.names("p") == []


def test_a_local_copy_has_the_same_bytes(store: Store, tmp_path: Path) -> None:
    store.write("shard.bin", b"features")
    copy = store.local("shard.bin", tmp_path / "cache")
    assert copy is not None
    assert copy.read_bytes() == b"features"
    assert store.local("gone.bin", tmp_path / "cache") is None


def test_a_writable_store_passes_its_check_and_keeps_no_trace(store: Store) -> None:
    store.check_writable()
    assert store.names("") == []


def test_a_reader_never_sees_half_a_write(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    whole = {bytes([letter]) * 200_000 for letter in b"ab"}
    store.write("file", min(whole))
    writer = threading.Thread(target=lambda: [store.write("file", data) for _ in range(60) for data in whole])
    writer.start()
    seen = set()
    while writer.is_alive():
        seen.add(store.read("file"))
    writer.join()
    assert seen <= whole


def test_a_root_that_is_a_file_is_reported_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("not a directory")
    with pytest.raises(StoreError, match=f"state.json in the store {tmp_path}/root cannot be written"):
        Store(str(tmp_path / "root")).write("state.json", b"{}")


def test_an_unknown_protocol_is_reported() -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Store("nosuchprotocol://bucket")


class Away(MemoryFileSystem):
    """A remote store that is away, told by its library in an error of its own."""

    protocol = "away"

    def cat_file(self, path: str, **_: object) -> bytes:
        raise RuntimeError(f"no answer from away://me:se@cret@host/{path}")


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("away://me:se@cret@host/store", "state.json in the store away://host/store cannot be read: RuntimeError"),
        ("ftp://me:se@cret@127.0.0.1:1/store", "ftp://127.0.0.1:1/store cannot be opened"),
        ("nosuchprotocol://me:se@cret@host/store", "nosuchprotocol://host/store cannot be opened"),
    ],
)
def test_a_remote_store_that_fails_is_told_without_its_password(location: str, told: str) -> None:
    fsspec.register_implementation("away", Away, clobber=True)
    with pytest.raises(StoreError, match=told) as raised:
        Store(location).read("state.json")
    assert "cret" not in str(raised.value)


NO_BUCKET = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchBucket</Code>'
    b"<Message>The specified bucket does not exist</Message><BucketName>gone</BucketName></Error>"
)


def test_a_bucket_that_is_not_there_is_no_empty_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is served would be forgotten, and projects told of as not connected."""
    pytest.importorskip("s3fs")
    with Site() as site:
        site.missing = (404, {"Content-Type": "application/xml"}, NO_BUCKET)
        for name, value in {"ENDPOINT_URL": site.url, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        store = Store("s3://gone/store")
        for ask in (store.read, store.names, store.delete):
            with pytest.raises(StoreError, match="The specified bucket does not exist"):
                ask("projects")


@pytest.mark.parametrize("keys", ["AKIA:secret", "AKIA:sec/ret", "AKIA"])
def test_keys_in_the_address_of_a_bucket_are_refused_untold(keys: str) -> None:
    with pytest.raises(StoreError, match="set AWS_ACCESS_KEY_ID") as raised:
        Store(f"s3://{keys}@bucket/store")
    assert "secret" not in str(raised.value) and "sec/ret" not in str(raised.value) and "AKIA" not in str(raised.value)


FULL_DISK = """
import resource, signal, sys
from labelloop.errors import StoreError
from labelloop.service.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
store = Store(sys.argv[1])
store.write("small", b"fits")
try:
    store.write("small", b"x" * 5000)
except StoreError as error:
    print(error)
print(store.read("small"), store.names(""))
"""


def test_a_write_that_does_not_fit_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", FULL_DISK, str(tmp_path)],  # a compiled module would be cut off, and kept so
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "backend")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written: File too large" in done.stdout
    assert "b'fits' ['small']" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_what_a_process_left_that_was_killed_while_it_wrote_is_swept_up_after_a_while(tmp_path: Path) -> None:
    code = (
        "import os, sys; from labelloop.service import store; "
        "store.os.fsync = lambda file: os.kill(os.getpid(), 9); store.Store(sys.argv[1]).write('p/a/whole.bin', b'half')"
    )
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment).returncode == -9
    store = Store(str(tmp_path))
    store.write("p/a/.mine", b"of another's")
    [left] = tmp_path.glob("p/a/.whole.bin.*")
    store.sweep("p")
    assert left.exists(), "it may be at work"
    for path in (left, tmp_path / "p/a/.mine"):
        os.utime(path, (0, 0))
    store.sweep("p")
    assert [path.name for path in (tmp_path / "p/a").iterdir()] == [".mine"]

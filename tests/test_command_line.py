"""The command line itself: quick to answer, clear when something is wrong."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelloop.cli import app

HEAVY = (
    "torch",
    "sklearn",
    "scipy",
    "numpy",
    "fastapi",
    "rq",
    "redis",
    "label_studio_sdk",
    "PIL",
    "fsspec",
    "pydantic",
)


def labelloop(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labelloop.cli", *arguments],
        env={**os.environ, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_line_loads_nothing_heavy() -> None:
    script = f"import sys, labelloop.cli; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", sorted(command.name or "" for command in app.registered_commands))
def test_every_command_shows_an_example_in_its_help(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    assert f"labelloop {command}" in shown.output.split("Usage:")[1].split("\n", 1)[1]


def test_a_wrong_setting_is_told_in_one_sentence(tmp_path: Path) -> None:
    done = labelloop("up", LABELLOOP_DATA_DIR=str(tmp_path), LABELLOOP_TRAIN_AFTER="0")
    assert done.returncode == 1
    assert done.stderr.startswith("labelloop: Settings cannot be used: ")
    assert "Traceback" not in done.stderr


def test_empty_variables_leave_up_to_its_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = labelloop("up", "--port", str(port), LABELLOOP_DATA_DIR="", LABEL_STUDIO_URL="", REDIS_URL="")
    assert f"Port {port} cannot be had" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".run"]


def test_a_folder_that_cannot_hold_what_up_keeps_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = labelloop("up", LABELLOOP_DATA_DIR=str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"labelloop: `labelloop up` cannot keep its data in {tmp_path / 'file'}: ")
    assert "LABELLOOP_DATA_DIR" in done.stderr


def test_up_asks_for_a_token_where_a_label_studio_is_named(tmp_path: Path) -> None:
    done = labelloop(
        "up", LABELLOOP_DATA_DIR=str(tmp_path), LABEL_STUDIO_URL="http://127.0.0.1:1", LABEL_STUDIO_API_KEY=""
    )
    assert done.returncode == 1
    assert "LABEL_STUDIO_API_KEY is not" in done.stderr


def test_the_played_annotator_never_labels_in_a_label_studio_that_is_not_ours(tmp_path: Path) -> None:
    done = labelloop(
        "up",
        "--auto",
        LABELLOOP_DATA_DIR=str(tmp_path),
        LABEL_STUDIO_URL="http://127.0.0.1:1",
        LABEL_STUDIO_API_KEY="key",
    )
    assert done.returncode == 1
    assert "unset LABEL_STUDIO_URL" in done.stderr


def test_a_worker_without_redis_says_so_in_one_sentence(tmp_path: Path) -> None:
    done = labelloop("worker", LABELLOOP_DATA_DIR=str(tmp_path), REDIS_URL=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 1
    assert "labelloop: Redis does not answer" in done.stderr and "REDIS_URL" in done.stderr
    assert "Traceback" not in done.stderr

"""`labelloop up` as a user meets it: one command, everything runs, nothing is left behind."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from labelloop.cli.up import _stopped_by_signals
from support.up_process import UpProcess

pytestmark = [pytest.mark.studio, pytest.mark.slow]

EVERYTHING = {"redis-server", "label-studio start", "serve", "worker"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpProcess]:
    process = UpProcess(tmp_path_factory.mktemp("up"))
    process.start()
    try:
        process.wait_for("Ctrl-C stops everything")
        yield process
    finally:
        process.kill()
    process.wait_childless()


def credentials(up: UpProcess) -> dict[str, str]:
    kept: dict[str, str] = json.loads((up.folder / "label-studio" / "credentials.json").read_text())
    return kept


def projects(up: UpProcess) -> list[dict[str, object]]:
    url = f"http://127.0.0.1:{up.studio_port}"
    access = requests.post(f"{url}/api/token/refresh", json={"refresh": credentials(up)["api_key"]}, timeout=30).json()[
        "access"
    ]
    found: list[dict[str, object]] = requests.get(
        f"{url}/api/projects", headers={"Authorization": f"Bearer {access}"}, timeout=30
    ).json()["results"]
    return found


def test_everything_runs_and_the_demo_is_there_and_ordered(up: UpProcess) -> None:
    assert up.children().keys() == EVERYTHING
    assert requests.get(f"http://127.0.0.1:{up.port}/health", timeout=5).json()["status"] == "UP"
    (demo,) = projects(up)
    assert demo["task_number"] == 599
    assert demo["sampling"] == "Uncertainty sampling"
    assert str(demo["model_version"]).endswith("-cold")


def test_a_script_that_is_no_terminal_is_not_shown_the_password(up: UpProcess) -> None:
    assert credentials(up)["password"] not in up.output()
    assert credentials(up)["api_key"] not in up.output()


def test_a_second_one_on_the_same_directory_is_refused(up: UpProcess) -> None:
    other = up.another()
    other.start()
    assert other.wait(30) == 1
    assert "`labelloop up` runs already" in other.output()


def test_other_commands_find_their_settings_in_a_file(up: UpProcess) -> None:
    kept = up.folder / "env"
    assert f"export LABEL_STUDIO_URL=http://127.0.0.1:{up.studio_port}\n" in kept.read_text()
    assert "export LABELLOOP_OFFLINE=true\n" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_a_killed_server_comes_back(up: UpProcess) -> None:
    before = up.children()["serve"]
    os.kill(before, signal.SIGKILL)
    up.wait_for("server ended with exit code -9")
    deadline = time.monotonic() + 30
    while up.children().get("serve") in (None, before):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_it_stops_cleanly_and_a_second_run_reuses_what_the_first_made(up: UpProcess) -> None:
    first = (credentials(up), [project["id"] for project in projects(up)])
    up.signal(signal.SIGINT)
    assert up.wait(60) == 0
    assert up.children() == {}
    up.start()
    up.wait_for("Ctrl-C stops everything")
    assert (credentials(up), [project["id"] for project in projects(up)]) == first


def test_nothing_outlives_it_when_it_is_killed(up: UpProcess) -> None:
    assert up.children().keys() == EVERYTHING
    up.kill()
    up.wait_childless()


def test_the_loop_closes_when_the_annotator_is_played(tmp_path: Path) -> None:
    played = UpProcess(tmp_path, studio_started_before=True)
    played.start("--auto")
    try:
        assert played.wait(480) == 0, played.output()
    finally:
        played.kill()
    assert "The loop closed." in played.output()
    assert played.children() == {}


def test_it_says_which_label_studio_it_goes_by_where_it_runs_none(tmp_path: Path) -> None:
    """The settings of a former run, read into the terminal for other commands, name the one that ended with it."""
    up = UpProcess(tmp_path, studio_started_before=True)
    up.start(LABEL_STUDIO_URL="http://127.0.0.1:9", LABEL_STUDIO_API_KEY="key")
    try:
        up.wait_for("Ctrl-C stops everything")
        assert "the one that LABEL_STUDIO_URL names, http://127.0.0.1:9; unset it" in up.output()
    finally:
        up.signal(signal.SIGINT)
        up.wait(60)


def test_a_hangup_that_nohup_has_ignored_stays_ignored() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _stopped_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_closed_terminal_stops_as_ctrl_c_does() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), _stopped_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)

"""The supervisor on real processes: what dies comes back, and nothing outlives it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labelloop.cli.child import Child, Program
from labelloop.cli.ports import free_port, require_free
from labelloop.cli.stack import absolute_places
from labelloop.cli.supervisor import Supervisor, wait_until
from labelloop.errors import StartError

SLEEPER = ["/bin/sh", "-c", "echo up; exec sleep 60"]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Iterator[Supervisor]:
    with Supervisor(said.append) as entered:
        yield entered


def program(folder: Path, command: list[str], name: str = "sleeper") -> Program:
    return Program(name, command, folder / f"{name}.log")


def eventually(holds: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_program_comes_back(supervisor: Supervisor, said: list[str], tmp_path: Path) -> None:
    child = supervisor.add(program(tmp_path, SLEEPER))
    first = child.pid
    os.kill(first, signal.SIGKILL)

    def back() -> bool:
        supervisor.tend()
        return child.alive and child.pid != first

    assert eventually(lambda: not child.alive)
    assert eventually(back)
    assert said == [f"sleeper ended with exit code -9 and starts again in 0.5 s; see {child.program.log}"]


def test_a_program_that_dies_again_and_again_is_started_less_and_less_often(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    child = supervisor.add(program(tmp_path, ["/bin/false"]))

    def three_deaths() -> bool:
        supervisor.tend()
        return len(said) == 3

    assert eventually(three_deaths, 10)
    assert [line.split(" starts again in ")[1].split(";")[0] for line in said] == ["0.5 s", "1 s", "2 s"]
    assert not child.alive


def test_programs_stop_last_started_first(tmp_path: Path) -> None:
    order = tmp_path / "order"
    with Supervisor(print) as supervisor:
        for name in ("redis", "server", "worker"):
            script = f"trap 'echo {name} >> {order}; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
            child = supervisor.add(program(tmp_path, ["/bin/sh", "-c", script], name))
            wait_until(lambda child=child: "ready" in child.output(), child, 5)  # type: ignore[misc]
    assert order.read_text().split() == ["worker", "server", "redis"]


def test_a_program_that_will_not_stop_is_asked_twice_and_then_killed(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    script = f"trap 'echo asked >> {asked}' TERM; echo ready; while :; do sleep 0.05; done"
    child = Child(program(tmp_path, ["/bin/sh", "-c", script]))
    child.start()
    wait_until(lambda: "ready" in child.output(), child, 5)
    child.stop(grace=0.3)
    assert asked.read_text().split() == ["asked", "asked"]
    assert child.exit_code == -signal.SIGKILL


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from labelloop.cli.child import Program\n"
        "from labelloop.cli.supervisor import Supervisor\n"
        "supervisor = Supervisor(print)\n"
        "children = [supervisor.add(Program(str(n), ['sleep', '60'], Path(sys.argv[1]) / 'log')) for n in range(2)]\n"
        "print(*(child.pid for child in children), flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert eventually(lambda: all("sleep" in Path(f"/proc/{pid}/cmdline").read_text() for pid in pids))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert eventually(lambda: not any(runs(pid) for pid in pids))


def test_what_a_program_logs_is_passed_on_line_by_line(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    with Supervisor(print, lambda name, line: heard.append((name, line))) as supervisor:
        supervisor.add(program(tmp_path, SLEEPER, "worker"), echo=True)
        supervisor.add(program(tmp_path, SLEEPER, "silent"))

        def something_heard() -> bool:
            supervisor.tend()
            return bool(heard)

        assert eventually(something_heard)
    assert heard == [("worker", "up")]


def test_a_long_log_is_moved_aside_while_it_is_written(tmp_path: Path) -> None:
    script = "while :; do echo line; sleep 0.01; done"
    child = Child(program(tmp_path, ["/bin/sh", "-c", script]))
    child.start()
    assert eventually(lambda: len(child.output()) > 50)
    child.rotate_log(limit=20)
    older = (tmp_path / "sleeper.log.1").read_text()
    assert older.startswith("line\nline\n")
    assert eventually(lambda: child.output().startswith("line\n"))
    child.stop()
    assert "\0" not in child.output()


def test_a_program_that_is_not_ready_in_time_shows_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child(program(tmp_path, SLEEPER))
    child.start()
    assert eventually(lambda: "up" in child.output())
    with pytest.raises(StartError, match=r"sleeper is not ready after 0 s(.|\n)*up"):
        wait_until(lambda: False, child, 0)
    child.stop()


def test_a_missing_program_is_told_as_an_early_end(tmp_path: Path) -> None:
    child = Child(program(tmp_path, ["/no/such/program"]))
    child.start()
    with pytest.raises(StartError, match="No such file"):
        wait_until(lambda: False, child, 5)


@pytest.mark.parametrize(
    ("store", "kept"),
    [
        ("versions", {"LABELLOOP_STORE_URL": "/here/versions"}),
        ("/srv/versions", {"LABELLOOP_STORE_URL": "/srv/versions"}),
        ("s3://bucket/versions", {}),
        ("", {}),
    ],
)
def test_folders_mean_the_same_to_commands_run_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: str, kept: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = absolute_places({"LABELLOOP_STORE_URL": store})

    here = {name: place.replace("/here", str(tmp_path)) for name, place in kept.items()}
    assert found == {"LABELLOOP_DATA_DIR": f"{tmp_path}/.run", **here}


def test_a_free_port_can_be_had() -> None:
    require_free(free_port(), "a test", "")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_a_port_of_the_newer_internet_protocol_can_be_had_and_taken() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        with pytest.raises(StartError, match=f"Port {port} cannot be had"):
            require_free(port, "a test", "stop it", "::1")
    require_free(free_port(), "a test", "", "::1")

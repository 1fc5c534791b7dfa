"""`labelloop up`: everything on one machine with one command."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from labelloop.cli.demo import Demo
    from labelloop.cli.studio import Studio
    from labelloop.cli.supervisor import Supervisor
    from labelloop.settings import Settings

STUDIO_PORT = 8080
ORDER_TIMEOUT = 120.0


def up(
    auto: Annotated[bool, typer.Option("--auto", help="Play the annotator on the demo project, then stop.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Workers, each training one project at a time.")] = 1,
    port: Annotated[int | None, typer.Option(help="Port of the server; the setting LABELLOOP_PORT otherwise.")] = None,
    studio_port: Annotated[int, typer.Option(help="Port of the Label Studio of our own.")] = STUDIO_PORT,
) -> None:
    """Run everything on this machine, with one command.

    That is Redis, the server, workers and, unless LABEL_STUDIO_URL names one, a Label Studio of our own with a demo project,
    connected and ready to label. Ctrl-C stops everything; what was made stays under LABELLOOP_DATA_DIR (.run) for the next time.

    [dim]Examples:[/]

    [cyan]labelloop up[/]

    [cyan]labelloop up --auto[/]

    [cyan]LABEL_STUDIO_URL=http://labels.example:8080 LABEL_STUDIO_API_KEY=… labelloop up --workers 2[/]
    """
    from labelloop.cli.stack import absolute_places, only_one, own_studio_wanted
    from labelloop.errors import SettingsError
    from labelloop.settings import load_settings

    own_studio = own_studio_wanted()
    if auto and not own_studio:
        raise SettingsError("--auto labels a demo project in a Label Studio of our own; unset LABEL_STUDIO_URL for it.")
    if port is not None:
        os.environ["LABELLOOP_PORT"] = str(port)
    os.environ |= absolute_places(os.environ)
    settings = load_settings()
    with only_one(settings.data_dir), _stopped_by_signals():
        raise typer.Exit(_run(settings, workers, studio_port if own_studio else None, auto))


def _run(settings: "Settings", workers: int, studio_port: int | None, auto: bool) -> int:
    """Start all, then play or wait; returns the exit code."""
    from labelloop.cli.stack import Stack
    from labelloop.cli.supervisor import Supervisor
    from labelloop.service.addresses import local_address

    echo = None if auto else _echo
    with ExitStack() as stopping:
        stopping.callback(_say, "Stopped.")
        supervisor = stopping.enter_context(Supervisor(_say, echo))
        stopping.callback(_ignore_signals)
        stack = Stack(settings, supervisor, _say)
        stack.check_ports()
        stack.start_redis()
        studio = stack.start_studio(studio_port) if studio_port is not None else None
        settings = stack.start_backend(workers)
        if studio is None:
            _say(
                f"Label Studio is the one that LABEL_STUDIO_URL names, {settings.label_studio_url}; unset it to run one of our own."
            )
            _say(f"The server listens at {local_address(settings)}")
            _tell_other_commands(settings, "connect --help")
        else:
            demo = _demo(studio, settings, fresh=auto)
            _say("Ordering the queue of the demo project …")
            _await_order(settings, demo, supervisor)
            _tell_way_in(studio, demo, settings)
            if auto:
                return _play(settings, demo, supervisor)
        _wait(supervisor)
    return 0


def _demo(studio: "Studio", settings: "Settings", *, fresh: bool) -> "Demo":
    from labelloop.cli.demo import prepare_demo
    from labelloop.service.addresses import local_address
    from labelloop.service.connection import connect
    from labelloop.service.context import open_context

    context = open_context(settings)
    demo = prepare_demo(context.label_studio, studio.browser(), fresh=fresh)
    outcome = connect(context, demo.project_id, local_address(settings))
    for warning in outcome.warnings:
        _say(warning)
    return demo


def _await_order(settings: "Settings", demo: "Demo", supervisor: "Supervisor") -> None:
    """Wait until the first version orders the queue, and say what reads the images."""
    from labelloop.service.context import open_context

    context = open_context(settings)
    project = context.projects.find(demo.project_id)
    deadline = time.monotonic() + ORDER_TIMEOUT
    while time.monotonic() < deadline:
        live = context.versions(project).live() if project else None
        if live and context.label_studio.project(demo.project_id)["model_version"] == live.name:
            backbone = live.learners[0].backbone
            _say(backbone.note or f"Images are read by {backbone.name}.")
            return
        supervisor.tend()
        time.sleep(0.5)
    _say(f"The queue has no order yet; {settings.data_dir / 'logs'} may say why.")


def _play(settings: "Settings", demo: "Demo", supervisor: "Supervisor") -> int:
    """Let the played annotator label in a thread, while this one keeps the programs running."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Event

    from labelloop.cli.auto import play

    stopped = Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        playing = pool.submit(play, settings, demo, stopped)
        try:
            while not playing.done():
                supervisor.tend()
                time.sleep(0.2)
        finally:
            stopped.set()
        return playing.result()


def _wait(supervisor: "Supervisor") -> None:
    _say("Ctrl-C stops everything.")
    try:
        while True:
            supervisor.tend()
            time.sleep(0.2)
    except KeyboardInterrupt:
        _say("Stopping …")


def _tell_way_in(studio: "Studio", demo: "Demo", settings: "Settings") -> None:
    password = studio.credentials.password if sys.stdout.isatty() else f"in {studio.home / 'credentials.json'}"
    _say(f"Label Studio   {studio.url}   log in as {studio.credentials.username}, password {password}")
    _say(
        f"Demo project   {studio.url}/projects/{demo.project_id}/data   {len(demo.truth)} images, “Label All Tasks” starts"
    )
    _say(f"Logs           {settings.data_dir / 'logs'} and {studio.home / 'label-studio.log'}")
    _tell_other_commands(settings, "status")


def _tell_other_commands(settings: "Settings", command: str) -> None:
    """How commands in another terminal get the settings of this one."""
    _say(f"Other commands . {settings.data_dir / 'env'} && {Path(sys.executable).with_name('labelloop')} {command}")


def _say(message: str) -> None:
    typer.echo(message)


def _echo(name: str, line: str) -> None:
    typer.echo(typer.style(f"{name:9} ", fg="cyan") + line)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal stop as Ctrl-C does; what is ignored (nohup) stays ignored."""
    heeded = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    former = {number: signal.signal(number, signal.default_int_handler) for number in heeded}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """Nothing interrupts the stopping, which ends by itself within seconds."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

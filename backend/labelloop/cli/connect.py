"""`labelloop connect` and `labelloop disconnect`: a project calls this backend, or no longer."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from labelloop.cli.console import JsonOption, opened, print_json

if TYPE_CHECKING:
    from labelloop.service.connection_record import Outcome


def connect(
    project: Annotated[
        int, typer.Option("--project", "-p", help="The project's id in Label Studio.", min=1, metavar="ID")
    ],
    backend_url: Annotated[
        str, typer.Option("--backend-url", "-b", help="Where Label Studio can call this backend.", metavar="URL")
    ],
    as_json: JsonOption = False,
) -> None:
    """Connect a Label Studio project: from then on it is pre-annotated and its queue is ordered.

    Registers the backend, makes the webhook right, sets sampling to uncertainty. Doing it again changes nothing.

    [dim]Examples:[/]

    [cyan]labelloop connect --project 1 --backend-url http://localhost:9090[/]

    [cyan]LABELLOOP_BASIC_AUTH=user:password labelloop connect -p 1 -b https://labelloop.example.org[/]
    """
    from labelloop.service.connection import connect as do_connect

    with opened() as context:
        outcome = do_connect(context, project, backend_url)
    _show(outcome, "connected", as_json)
    if not as_json:
        Console().print(f"\nUndo it with [cyan]labelloop disconnect --project {project}[/].")


def disconnect(
    project: Annotated[
        int, typer.Option("--project", "-p", help="The project's id in Label Studio.", min=1, metavar="ID")
    ],
    backend_url: Annotated[
        str | None,
        typer.Option(
            "--backend-url", "-b", help="The backend to remove, if the store does not know it.", metavar="URL"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Undo what connect did: the backend and its webhook go, the project gets its former settings back.

    Versions stay in the store and predictions in Label Studio.

    [dim]Example:[/]

    [cyan]labelloop disconnect --project 1[/]
    """
    from labelloop.service.disconnection import disconnect as do_disconnect

    with opened() as context:
        outcome = do_disconnect(context, project, backend_url)
    _show(outcome, "no longer connected", as_json)


def _show(outcome: "Outcome", state: str, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
        return
    console = Console(highlight=False)
    console.print(f"[bold]{escape(outcome.title)}[/] (project {outcome.project_id}) is {state}.")
    for change in outcome.changes:
        console.print(f"  [green]✓[/] {escape(change)}")
    if not outcome.changes:
        console.print("  [dim]nothing to change[/]")
    for warning in outcome.warnings:
        console.print(f"  [yellow]![/] {escape(warning)}")

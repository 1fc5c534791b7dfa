"""`labelloop versions` and `labelloop rollback`: what was published, and going back to it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelloop.cli.console import JsonOption, ProjectOption, WaitOption, chosen, follow, opened, order_line, print_json

if TYPE_CHECKING:
    from labelloop.learning import Measured
    from labelloop.service.versions import LearnerRecord, Version


def versions(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """List the published versions, newest first.

    [dim]Examples:[/]

    [cyan]labelloop versions --project 1[/]

    [cyan]labelloop versions --json | jq '.versions\\[0].name'[/]
    """
    with opened() as context:
        which = chosen(context, project)
        shelf = context.versions(which)
        live, found = shelf.live_name(), shelf.all()
    if as_json:
        print_json({"project": which.key.id, "live": live, "versions": found})
        return
    console = Console(highlight=False)
    if not found:
        console.print(f"Project {which.key.id} has no version yet; [cyan]labelloop train[/] asks for one.")
        return
    console.print(_table(which.title or f"Project {which.key.id}", found, live))


def rollback(
    version: Annotated[str, typer.Argument(help="The version to make live, as `labelloop versions` names it.")],
    project: ProjectOption = None,
    wait: WaitOption = True,
) -> None:
    """Make another version live and let its scores order the queue. The next training may publish a newer one.

    [dim]Example:[/]

    [cyan]labelloop rollback v3-20261124-021530 --project 1[/]
    """
    from labelloop.service.asking import ask_push, push_standing, require_worker

    with opened() as context:
        which = chosen(context, project)
        shelf = context.versions(which)
        before = shelf.live_name()
        shelf.make_live(version)
        ask_push(context, which)
        console = Console(highlight=False)
        console.print(f"[bold]{version}[/] is live" + (f" (was {before})." if before and before != version else "."))
        if wait:
            require_worker(context)
            follow("Writing scores", lambda: push_standing(context, which))
            console.print(order_line(context, which))


def _table(title: str, found: "list[Version]", live: str | None) -> Table:
    table = Table(title=escape(title), title_justify="left", box=None, pad_edge=False)
    for heading in ("", "version", "labels", "held out", "holdout", "cross-val.", "order"):
        # A name cut short could not be handed to `rollback`; it tells the time of publishing too.
        table.add_column(
            heading, justify="right" if heading in ("labels", "held out") else "left", no_wrap=heading == "version"
        )
    for version in found:
        name = f"[bold green]{version.name}[/]" if version.name == live else version.name
        table.add_row(
            "[green]live[/]" if version.name == live else "",
            name,
            str(version.labels),
            str(version.holdout),
            _accuracy(version, lambda record: record.metrics),
            _accuracy(version, lambda record: record.cv_metrics),
            version.order,
        )
    return table


def _accuracy(version: "Version", metrics_of: "Callable[[LearnerRecord], Measured | None]") -> str:
    found = [metrics for record in version.learners if (metrics := metrics_of(record)) is not None]
    return ", ".join(f"{metrics.value:.1%}" for metrics in found) or "-"

"""`labelloop doctor`: what is not right, and how to mend it."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from labelloop.cli.console import JsonOption, SomeProjectsOption, opened, print_json

if TYPE_CHECKING:
    from labelloop.service.doctor import Finding

_MARKS = {"ok": "[green]ok    [/]", "warn": "[yellow]warn  [/]", "broken": "[red]broken[/]"}


def doctor(project: SomeProjectsOption = None, as_json: JsonOption = False) -> None:
    """Look at everything the loop needs, one line each, with the mend for what is not right.

    Looks at all connected projects unless one is named. Exit code 1 when something is broken.

    [dim]Examples:[/]

    [cyan]labelloop doctor[/]

    [cyan]labelloop doctor --project 1 --json[/]
    """
    from labelloop.service.doctor import Level, examine

    console = Console(highlight=False, soft_wrap=True)
    findings: list[Finding] = []
    with opened() as context:
        about: int | None = None
        for finding in examine(context, project):
            findings.append(finding)
            if as_json:
                continue
            if finding.project != about:
                console.print(f"\n[bold]Project {finding.project}[/]")
                about = finding.project
            _show(console, finding)
    broken = sum(finding.level is Level.BROKEN for finding in findings)
    if as_json:
        print_json(findings)
    else:
        warnings = sum(finding.level is Level.WARN for finding in findings)
        console.print(f"\n{len(findings)} checks, {broken} broken, {warnings} with a warning.")
    if broken:
        raise typer.Exit(1)


def _show(console: Console, finding: "Finding") -> None:
    console.print(f"{_MARKS[finding.level]} [bold]{finding.name:<14}[/] {escape(finding.seen)}")
    if finding.mend:
        console.print(f"{'':22}[cyan]→ {escape(finding.mend)}[/]")

"""`scripts/bench NAME --json FILE`: run one benchmark, or all."""

import importlib
import json
import os
import platform
from pathlib import Path
from typing import Annotated, Any

import typer

NAMES = ("serving", "http", "submit", "rounds", "kinds", "digits", "label_efficiency", "tasks")


def main(
    name: Annotated[str, typer.Argument(help=f"{', '.join(NAMES)}, or all.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
) -> None:
    """Measure a whole Labelloop (real Label Studio, Redis, server and worker), or what its labels are worth (label_efficiency, tasks)."""
    if name not in (*NAMES, "all"):
        raise typer.BadParameter(f"there is {', '.join(NAMES)}, or all")
    figures: dict[str, Any] = {"cores": os.cpu_count(), "python": platform.python_version()}
    for one in NAMES if name == "all" else (name,):
        typer.echo(f"Measuring {one} …", err=True)
        figures[one] = importlib.import_module(f"benchmarks.{one}").run()
    text = json.dumps(figures, indent=2)
    typer.echo(text)
    if json_file:
        json_file.write_text(text + "\n")


if __name__ == "__main__":
    typer.run(main)

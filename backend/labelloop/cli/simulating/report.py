"""The results of a simulation: as JSON, and as tables for a person."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelloop.cli.simulating.features import Prepared
from labelloop.cli.simulating.keeping import REPORT, RESULTS
from labelloop.cli.simulating.source import Source
from labelloop.learning import ResolvedBackbone
from labelloop.learning.recipes import methods_named
from labelloop.learning.simulation import BASELINE, Cell, Simulation, summary_of

COLUMNS = 5
IDS_SHOWN = 3


def results_of(
    source: Source, backbone: ResolvedBackbone, prepared: Prepared, simulation: Simulation, cells: list[Cell]
) -> dict[str, Any]:
    """Everything that was found, as JSON values."""
    plan = simulation.plan
    return {
        "data": {
            "name": source.name,
            "modality": str(source.modality),
            "items": len(source.ids),
            "used": len(prepared.data.labels),
            "classes": list(prepared.data.classes),
            "given_test": prepared.data.given_test is not None,
            "tested": list(simulation.tested),
            "notes": list(source.notes),
            "findings": [finding.to_json() for finding in prepared.findings],
        },
        "backbone": {"name": backbone.name, "id": backbone.id, "note": backbone.note},
        "plan": {"strategies": list(plan.played), "seeds": plan.seeds, **plan.cell_facts()},
        "baseline": BASELINE,
        "summary": summary_of(cells, plan.played, BASELINE, prepared.data.classes),
        "cells": [cell.to_json() for cell in cells],
    }


def show_findings(console: Console, source: Source, backbone: ResolvedBackbone, prepared: Prepared) -> None:
    """Say what is used and what preparation found."""
    used, classes = len(prepared.data.labels), len(prepared.data.classes)
    console.print(
        f"[bold]{escape(source.name)}[/]: {used:,} of {len(source.ids):,} items, {classes} classes, "
        f"features of {escape(backbone.name)}."
    )
    for note in (backbone.note, *source.notes):
        if note:
            console.print(f"[yellow]{escape(note)}[/]")
    for finding in prepared.findings:
        shown = ", ".join(finding.ids[:IDS_SHOWN]) + (", …" if finding.count > IDS_SHOWN else "")
        console.print(
            f"[yellow]{finding.kind}[/]: {escape(finding.found)} {escape(finding.rule)} [dim]{escape(shown)}[/]"
        )


def show_results(results: dict[str, Any], folder: Path) -> None:
    """Print accuracies and savings, and where the rest is."""
    console = Console(highlight=False)
    console.print(f"[italic]Accuracy by labels bought, on {tested(results)}{_of_seeds(results)}[/]")
    console.print(_accuracies(results))
    if results["summary"]["savings"]:
        band = " (± is the standard error of the share)" if results["plan"]["seeds"] > 1 else ""
        console.print(f"\n[italic]Labels for what {results['baseline']} reaches{band}[/]")
        console.print(_savings(results))
    for line in finish_lines(results):
        console.print(escape(line))
    console.print(f"\n[bold]{escape(str(folder / REPORT))}[/] shows the curves, {RESULTS} beside it has all figures.")


def tested(results: dict[str, Any]) -> str:
    """How many items every accuracy is measured on; each seed has others."""
    counts = sorted(results["data"]["tested"])
    many = f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{many} test item" + ("s" if counts[-1] > 1 else "")


def _of_seeds(results: dict[str, Any]) -> str:
    seeds = results["plan"]["seeds"]
    return f" (mean ± standard error of {seeds} seeds)" if seeds > 1 else " (one seed)"


def finish_lines(results: dict[str, Any]) -> list[str]:
    """What a last semi-supervised candidate brought each strategy, where the method was chosen for it and not another head."""
    finish = results["plan"]["finish"]
    methods = {method.name for method in methods_named(finish or "none")}
    lines = []
    for name in results["plan"]["strategies"]:
        tried = [cell for cell in results["cells"] if cell["strategy"] == name and cell["finish"]]
        if tried:
            taken = [cell for cell in tried if cell["finish"]["published"] and cell["finish"]["method"] in methods]
            gains = [cell["finish"]["accuracy"] - cell["rounds"][-1]["accuracy"] for cell in taken]
            gained = f", {sum(gains) / len(gains):+.1%} in accuracy where it did" if gains else ""
            lines.append(f"{name}: {finish} at the end went live {len(taken)} of {len(tried)} times{gained}.")
    return lines


def saving_text(saving: dict[str, Any]) -> str:
    """Labels that a strategy needs, and the share it saves with its standard error, in a few words."""
    if saving["labels"] is None:
        return "not reached"
    at_most = "at most " if saving["at_most"] else ""
    if saving["saved"] is None:
        return f"{at_most}{saving['labels']:,.0f}"
    percent, error = round(100 * saving["saved"]), saving["saved_standard_error"]
    compared = f"{abs(percent)}% {'fewer' if percent > 0 else 'more'}" if percent else "as many"
    compared += "" if error is None else f", ±{100 * error:.0f}"
    return f"{at_most}{saving['labels']:,.0f} ({compared})"


def savings_table(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Labels each strategy needs for the accuracies that the baseline reaches: headings, and a row for each strategy."""
    savings, baseline = results["summary"]["savings"], results["baseline"]
    spent = {saving["accuracy"]: saving["baseline_labels"] for saving in savings}
    said: dict[str, list[str]] = {baseline: [f"{labels:,.0f}" for labels in spent.values()]}
    for saving in savings:  # in the order of the accuracies
        said.setdefault(saving["strategy"], []).append(saving_text(saving))
    heads = ["strategy", *(f"{accuracy:.1%}" for accuracy in spent)]
    return heads, [[name, *texts] for name, texts in said.items()]


def _accuracies(results: dict[str, Any]) -> Table:
    curves = results["summary"]["curves"]["accuracy"]
    places = sorted({round(part * (len(curves[0]["labels"]) - 1) / (COLUMNS - 1)) for part in range(COLUMNS)})
    table = Table(box=None, pad_edge=False)
    table.add_column("strategy")
    for place in places:
        table.add_column(f"{curves[0]['labels'][place]:,}", justify="right")
    for curve in curves:
        error = curve["standard_error"] if curve["seeds"] > 1 else None
        figures = [f"{curve['mean'][place]:.1%}" + (f" ±{100 * error[place]:.1f}" if error else "") for place in places]
        table.add_row(curve["strategy"], *figures)
    return table


def _savings(results: dict[str, Any]) -> Table:
    heads, rows = savings_table(results)
    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(heads):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    return table

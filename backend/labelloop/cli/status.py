"""`labelloop status`: how the loop stands."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelloop.cli.console import NOTHING_TO_ORDER, JsonOption, SomeProjectsOption, chosen, opened, print_json

if TYPE_CHECKING:
    from labelloop.learning import Measured
    from labelloop.learning.calibrating import Reliability
    from labelloop.learning.pool_accuracy import PoolAccuracy
    from labelloop.learning.stopping import Agreement
    from labelloop.service.report_records import LearnerReport, Report, StudioReport, VersionReport

BROKEN_SHOWN = 3
"""Reasons for which tasks are set aside."""


def status(project: SomeProjectsOption = None, as_json: JsonOption = False) -> None:
    """Show labels, the live version and how good it is, whether labelling can stop, and how far the next training is.

    All connected projects unless one is named. Exit code 1 when a project has an error; `doctor` also tells what to do about it.

    [dim]Examples:[/]

    [cyan]labelloop status[/]

    [cyan]labelloop status --project 1 --json[/]
    """
    from labelloop.service.report import report_on

    with opened() as context:
        known = [chosen(context, project)] if project is not None else context.projects.all()
        reports = [report_on(context, one) for one in known or [chosen(context, None)]]
    if as_json:
        print_json(reports)
    else:
        console = Console(highlight=False)
        for place, report in enumerate(reports):
            if place:
                console.print()
            _show(console, report)
    if any(report.errors for report in reports):
        raise typer.Exit(1)


def _show(console: Console, report: "Report") -> None:
    console.print(f"[bold]{escape(report.title or 'Untitled')}[/] (project {report.project})")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("labels", f"{report.labels} of {report.tasks} tasks, {report.pool} in the pool")
    if report.studio:
        table.add_row("label studio", escape(_studio(report.studio)))
    for name, text in _version_rows(report):
        table.add_row(name, text)
    table.add_row("can we stop?", escape(report.stopping.sentence))
    table.add_row("now", _now(report))
    table.add_row("next training", _next_training(report))
    if report.last_training:
        table.add_row("last training", escape(f"{report.last_training} ({report.last_training_at})"))
    if report.last_refusal and report.last_refusal not in report.last_training:
        table.add_row("last refusal", escape(report.last_refusal))
    if report.fine_tuning:
        table.add_row("fine-tuning", escape(report.fine_tuning))
    for name, text in _trouble_rows(report):
        table.add_row(name, text)
    console.print(table)


def _studio(studio: "StudioReport") -> str:
    return (
        f"{studio.annotated} of {studio.tasks} tasks annotated, {studio.skipped} skipped, {studio.sampling.lower()}, "
        f"model version {studio.model_version or 'none'}"
    )


def _version_rows(report: "Report") -> list[tuple[str, str]]:
    live = report.live
    if live is None:
        return [("live version", "none yet")]
    rows = [("live version", f"[bold]{live.name}[/], {_stage(live)}")]
    for learner in live.learners:
        lines = [_quality(learner)] if live.stage == "trained" else []
        lines += [_pool(learner.pool)] if learner.pool else []
        lines += [_agreement(learner.agreement)] if learner.agreement else []
        lines += [escape(learner.choice)] if learner.choice else []
        lines += [_calibration(learner.calibration)] if learner.calibration else []
        lines.append(f"{_classes(len(learner.classes))}backbone {escape(learner.backbone)}")
        lines += [f"[yellow]{escape(learner.note)}[/]"] if learner.note else []
        rows.append((f"control {escape(learner.control)}", "\n".join(lines)))
    return [*rows, ("queue", _queue(report, live))]


def _stage(live: "VersionReport") -> str:
    if live.stage != "cold":
        return f"trained on {live.labels} labels"
    shows = " and shows what its models bring" if any(learner.predicts for learner in live.learners) else ""
    return f"orders the queue{shows}, has learnt nothing yet"


def _quality(learner: "LearnerReport") -> str:
    best = learner.metrics
    if best is None:
        return "[dim]not judged yet[/]"
    text = _figures(best)
    if learner.holdout is not None and not learner.holdout_trusted:
        text += (
            f" [dim](the holdout's {learner.holdout.items} labels are too few to trust: {learner.holdout.value:.1%})[/]"
        )
    return text


def _classes(count: int) -> str:
    """How many classes there are, before what follows; nothing where answers are written, or no class is known yet."""
    return f"{count} class{'es' if count > 1 else ''}, " if count else ""


def _pool(pool: "PoolAccuracy") -> str:
    interval = pool.interval
    return (
        f"about {pool.accuracy:.1%} ({interval.low:.1%} to {interval.high:.1%}) on the pool, whose tasks may be easier"
    )


def _agreement(agreement: "Agreement") -> str:
    interval = agreement.interval
    return (
        f"predicted {agreement.same} of the last {agreement.items} labels before they came: "
        f"{agreement.share:.1%} ({interval.low:.1%} to {interval.high:.1%})"
    )


def _calibration(found: "Reliability") -> str:
    """What calibrating does to probabilities; the bars of the reliability diagram are in the JSON."""
    if not found.items:
        return "probabilities not calibrated, for want of labels to compare them with"
    return (
        f"probabilities calibrated ({found.method}): ECE {found.ece_before:.3f} before, {found.ece_after:.3f} after, "
        f"on {found.items} labels"
    )


def _figures(metrics: "Measured") -> str:
    from labelloop.learning import Figures

    if isinstance(metrics, Figures):
        others = "".join(f", {name} {value:.3f}" for name, value in metrics.others.items())
        reach = f" ({metrics.interval.low:.1%} to {metrics.interval.high:.1%})" if metrics.interval else ""
        return (
            f"{metrics.name} [bold]{metrics.value:.1%}[/]{reach}{others} on {metrics.items} labels ({metrics.source})"
        )
    accuracy, f1 = metrics.accuracy_interval, metrics.macro_f1_interval
    return (
        f"accuracy [bold]{metrics.accuracy:.1%}[/]{f' ({accuracy.low:.1%} to {accuracy.high:.1%})' if accuracy else ''}, "
        f"macro F1 {metrics.macro_f1:.3f}{f' ({f1.low:.3f} to {f1.high:.3f})' if f1 else ''}, log loss {metrics.log_loss:.3f}, "
        f"ECE {metrics.ece:.3f} on {metrics.items} labels ({metrics.source}){_untested(metrics.untested)}"
    )


def _untested(labels: int) -> str:
    """What a figure leaves out: a class with one label, whose like is mostly taken for another's."""
    if not labels:
        return ""
    return f"; {labels} more have no other of their class to learn from and cannot be tested: with them it is lower"


def _queue(report: "Report", live: "VersionReport") -> str:
    written = f"{report.scores_written} scores written" + (
        f", {report.scores_to_write} to come" if report.scores_to_write else ""
    )
    if not report.ordered and not report.scores_to_write:
        return NOTHING_TO_ORDER
    if not report.ordered:
        return f"not ordered by this version yet; {written}"
    return f"ordered by {live.order}; {written}"


def _now(report: "Report") -> str:
    if report.workers == 0:
        return "[red]no worker listens; run `labelloop up` or `labelloop worker`[/]"
    if report.now is None:
        return "idle" if report.workers else "[red]not known[/]"
    total = f" of {report.now['total']}" if report.now["total"] else ""
    return f"{escape(str(report.now['step']))}, {report.now['done']}{total}"


def _next_training(report: "Report") -> str:
    if report.stopped:
        return f"none by itself: {escape(report.stopped)}"
    why = f" ({escape(report.waiting_for)})" if report.waiting_for else ""
    return f"{report.percent} % there, {report.changes} labels changed{why}"


def _trouble_rows(report: "Report") -> list[tuple[str, str]]:
    rows = {
        "not learnt": report.unsupported,
        "set aside": report.set_aside,
        "findings": report.findings,
        "broken tasks": _broken_lines(report),
        "[red]error[/]": report.errors,
    }
    return [(name, escape("\n".join(lines))) for name, lines in rows.items() if lines]


def _broken_lines(report: "Report") -> list[str]:
    """What is set aside, for the most frequent reasons."""
    from labelloop.service.state import by_reason

    reasons = by_reason(report.broken.items())
    lines = []
    for reason, ids in reasons[:BROKEN_SHOWN]:
        which = str(ids[0]) if len(ids) == 1 else f"{len(ids)}, such as {ids[0]}"
        lines.append(f"{which}: {reason}")
    if others := sum(len(ids) for _, ids in reasons[BROKEN_SHOWN:]):
        lines.append(f"and {others} more tasks set aside")
    return lines

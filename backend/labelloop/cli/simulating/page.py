"""The results of a simulation as one page that needs nothing else: no script, no font, no network."""

from html import escape
from typing import Any, Final

from labelloop.cli.simulating.charts import COLOURS, Axes, Series, legend, line_chart, stacked_chart
from labelloop.cli.simulating.report import finish_lines, savings_table, tested

BOUGHT_SHOWN: Final = 12
LABELS: Final = "labels bought"

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60656c; --back: #ffffff; --line: #d9dce1; --card: #f5f6f8;
  --c0: #7b818a; --c1: #0b69c7; --c2: #d9650b; --c3: #1a8a4c; --c4: #b0309a; --c5: #b58a00; --c6: #0f8f9e; --c7: #c62f3b;
  --c8: #6650c8; --c9: #7a5230; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceef1; --soft: #a4abb5; --back: #15181c; --line: #343a42; --card: #1e2328;
  --c0: #a3aab4; --c1: #62aef5; --c2: #f79a52; --c3: #57c98a; --c4: #e27fd2; --c5: #e3c04a; --c6: #54cbd8; --c7: #f47d86;
  --c8: #a595f5; --c9: #c79a72; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0 auto; max-width: 820px;
  padding: 24px 20px 60px; }
h1 { font-size: 1.6rem; margin: 0 0 4px; } h2 { font-size: 1.15rem; margin: 36px 0 6px; } h3 { font-size: 1rem; margin: 18px 0 2px; }
p, td { overflow-wrap: anywhere; } p { margin: 4px 0 10px; } .soft { color: var(--soft); font-size: 0.9rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; } .wide { overflow-x: auto; }
th, td { padding: 5px 10px 5px 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.name { white-space: nowrap; } td.kind { overflow-wrap: normal; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.chart { width: 100%; height: auto; background: var(--card); border-radius: 8px; }
.chart text { fill: var(--soft); font-size: 12px; } .chart text.axis { fill: var(--ink); font-size: 13px; }
.grid { stroke: var(--line); stroke-width: 1; } .base { stroke: var(--soft); stroke-width: 1; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; margin: 6px 0; font-size: 0.92rem; }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 12px; }
figure { margin: 0; } figcaption { font-weight: 600; margin: 6px 0 2px; } .beside .chart text { font-size: 20px; }
.legend svg { margin-right: 7px; vertical-align: middle; }
@media (max-width: 600px) {
  .chart text, .chart text.axis { font-size: 20px; }
  .beside { grid-template-columns: 1fr; } }
"""


def page_of(results: dict[str, Any]) -> str:
    """The whole page, as HTML."""
    name = escape(results["data"]["name"])
    body = "".join(
        [
            f"<h1>Simulation on {name}</h1>",
            _facts(results),
            _accuracy(results),
            _savings(results),
            _bought(results),
            _further(results),
            _findings(results),
        ]
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Labelloop simulation on {name}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _facts(results: dict[str, Any]) -> str:
    data, plan, backbone = results["data"], results["plan"], results["backbone"]
    test = "that came with it" if data["given_test"] else "held out of it"
    own = "with draws" if data["given_test"] else "on a split"
    seeds = "one seed" if plan["seeds"] == 1 else f"{plan['seeds']} seeds, each {own} of its own"
    facts = (
        f"{data['used']:,} of {data['items']:,} items in {len(data['classes'])} classes, measured on {tested(results)} {test}. "
        f"{plan['budget']:,} labels in all, {plan['start']:,} to start; {seeds}; "
        f"features of {backbone['name']}."
    )
    notes = "".join(f'<p class="soft">{escape(note)}</p>' for note in (backbone["note"], *data["notes"]) if note)
    return f"<p>{escape(facts)}</p>{notes}"


def _accuracy(results: dict[str, Any]) -> str:
    note = "The mean of the seeds; " + _band_note(results)
    return f'<h2>Accuracy by labels bought</h2><p class="soft">{note}</p>' + _chart(results, "accuracy", "accuracy")


def _band_note(results: dict[str, Any]) -> str:
    many = results["plan"]["seeds"] > 1
    return "bands are one standard error of it." if many else "with one seed nothing is known of the chance in it."


def _chart(results: dict[str, Any], metric: str, label: str, *, percent: bool = True) -> str:
    curves = results["summary"]["curves"][metric]
    series = [Series(one["strategy"], one["labels"], one["mean"], one["standard_error"]) for one in curves]
    return line_chart(series, Axes(LABELS, label, percent, doubling=results["plan"]["batch"] == 0))


def _savings(results: dict[str, Any]) -> str:
    if not results["summary"]["savings"]:
        return ""
    baseline = results["baseline"]
    heads, told = savings_table(results)
    head = "".join(f'<th class="{"n" if place else "name"}">{escape(one)}</th>' for place, one in enumerate(heads))
    rows = "".join(
        f'<tr><td class="name">{escape(name)}</td>' + "".join(f'<td class="n">{text}</td>' for text in texts) + "</tr>"
        for name, *texts in told
    )
    said = (
        f"Labels each strategy needs for the accuracy that {baseline} reaches along the budget, in proportion "
        "between two rounds. What the budget does not reach is said so; what the first round reaches already might need "
        "fewer labels than it bought."
        + (" ± is one standard error over the seeds, in points of the share." if results["plan"]["seeds"] > 1 else "")
    )
    finish = "".join(f"<p>{escape(line)}</p>" for line in finish_lines(results))
    return (
        f'<h2>Labels for equal accuracy</h2><p class="soft">{escape(said)}</p>'
        f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>{finish}'
    )


def _bought(results: dict[str, Any]) -> str:
    classes, rounds = results["data"]["classes"], results["summary"]["curves"]["accuracy"][0]["labels"]
    found = results["summary"]["bought"]
    series = [Series(one["strategy"], rounds, one["balance"], [0.0] * len(rounds)) for one in found]
    axes = Axes(LABELS, "evenness of the classes", doubling=results["plan"]["batch"] == 0)
    parts = [
        "<h2>Which labels were bought</h2>",
        '<p class="soft">How evenly the labels are spread over the classes: 100% is as many of each, 0% all of one.</p>',
        line_chart(series, axes),
    ]
    if len(classes) <= COLOURS:
        parts.append(f"<h3>Share of each class</h3>{legend(classes)}")
        charts = (stacked_chart(one["shares"], rounds, Axes(LABELS, "share of the labels")) for one in found)
        pairs = zip(found, charts, strict=True)
        drawn = "".join(
            f"<figure><figcaption>{escape(one['strategy'])}</figcaption>{chart}</figure>" for one, chart in pairs
        )
        parts.append(f'<div class="beside">{drawn}</div>')
    return "".join(parts) + _first_bought(results)


def _first_bought(results: dict[str, Any]) -> str:
    rows = ""
    for name in results["plan"]["strategies"]:
        cell = next(cell for cell in results["cells"] if cell["strategy"] == name)
        first = [key for played in cell["rounds"] for key in played["bought"]][:BOUGHT_SHOWN]
        rows += f'<tr><td class="name">{escape(name)}</td><td>{escape(", ".join(first))}</td></tr>'
    return (
        f"<h3>The first {BOUGHT_SHOWN} of the first seed</h3>"
        f'<div class="wide"><table><tr><th>strategy</th><th>items</th></tr>{rows}</table></div>'
        '<p class="soft">results.json names every item that was bought, in order.</p>'
    )


def _further(results: dict[str, Any]) -> str:
    return (
        "<h2>Macro F1</h2><p class='soft'>Every class counts alike, however rare.</p>"
        + _chart(results, "macro_f1", "macro F1")
        + "<h2>Calibration error</h2><p class='soft'>By how much confidence and accuracy differ (ECE, 15 bins); "
        "lower is better.</p>"
        + _chart(results, "ece", "expected calibration error")
        + "<h2>Log loss</h2><p class='soft'>Lower is better.</p>"
        + _chart(results, "log_loss", "log loss", percent=False)
    )


def _findings(results: dict[str, Any]) -> str:
    rows = "".join(
        f'<tr><td class="kind">{escape(one["kind"])}</td>'
        f"<td>{escape(one['found'])}</td><td>{escape(one['rule'])}</td>"
        f"<td>{escape(', '.join(one['ids'][:5]))}{'…' if one['count'] > 5 else ''}</td></tr>"
        for one in results["data"]["findings"]
    )
    if not rows:
        return "<h2>The data</h2><p>Nothing was found wrong with it.</p>"
    head = "<tr><th>kind</th><th>found</th><th>what was done</th><th>such as</th></tr>"
    return f'<h2>The data</h2><div class="wide"><table>{head}{rows}</table></div>'

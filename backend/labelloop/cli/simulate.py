"""`labelloop simulate`: what active learning would have saved on data that is labelled already."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelloop.cli.console import JsonOption, print_json, progress_bars

if TYPE_CHECKING:
    from rich.progress import Progress

    from labelloop.cli.simulating.features import Prepared
    from labelloop.cli.simulating.source import Source
    from labelloop.cli.simulating.wanted import Wanted
    from labelloop.learning import BackboneSpec, ResolvedBackbone
    from labelloop.learning.simulation import Cell, Simulation
    from labelloop.settings import Settings

SourceArgument = Annotated[
    str,
    typer.Argument(
        help="A folder of class folders of images, a CSV or TSV file, a JSON export of Label Studio, or `digits`.",
        show_default=False,
    ),
]
StrategyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy", "-s", help="A query strategy; may be given several times. `random` is always played too."
    ),
]
BudgetOption = Annotated[int | None, typer.Option(help="Labels bought in all.", min=1)]
StartOption = Annotated[int | None, typer.Option(help="Labels bought in the first round.", min=1)]
BatchOption = Annotated[str | None, typer.Option(help="Labels bought in each later round, or `double`.")]
SeedsOption = Annotated[
    int | None, typer.Option(help="How often each strategy is played, on another split each time.", min=1)
]
BackboneOption = Annotated[str | None, typer.Option(help="The backbone; the service's setting otherwise.")]
ColdOption = Annotated[
    str | None, typer.Option("--cold-strategy", help="Orders while there are too few labels to trust a model.")
]
SemiOption = Annotated[
    str | None,
    typer.Option(
        "--semi-supervised",
        help="`auto`, `none` or a semi-supervised method for the learner; the service's setting otherwise.",
    ),
]
EnsembleOption = Annotated[
    list[str] | None, typer.Option(help="A member of an ensemble for the learner; given once for each member.")
]
FinishOption = Annotated[
    str | None, typer.Option(help="A semi-supervised method tried once at the end; an empty one leaves a recipe's out.")
]
ShareOption = Annotated[
    float | None,
    typer.Option("--test-share", help="Share of the items that only measure, or their number above 1.", min=0),
]
TestOption = Annotated[
    str | None, typer.Option("--test", help="A test set of its own, of the same kind as the source.")
]
ValidationOption = Annotated[
    int | None, typer.Option(help="Labelled items beside the budget to judge candidates on.", min=0)
]
ColumnOption = Annotated[
    str, typer.Option("--column", help="Column, or key of the tasks' data, that holds the text or the image's path.")
]
LabelOption = Annotated[
    str, typer.Option("--label-column", help="Column of the label, or name of the export's control.")
]
ImagesOption = Annotated[Path | None, typer.Option("--images", help="Folder that holds the images a file refers to.")]
RecipeOption = Annotated[
    str | None, typer.Option("--recipe", help="A TOML file, or the name of one that ships, such as cats-and-dogs.")
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for results.json and the page.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on where a simulation into this folder stopped.")]


def simulate(  # one parameter for each option
    source: SourceArgument,
    strategy: StrategyOption = None,
    budget: BudgetOption = None,
    start: StartOption = None,
    batch: BatchOption = None,
    seeds: SeedsOption = None,
    backbone: BackboneOption = None,
    cold_strategy: ColdOption = None,
    semi_supervised: SemiOption = None,
    ensemble: EnsembleOption = None,
    finish: FinishOption = None,
    test_share: ShareOption = None,
    test: TestOption = None,
    validation: ValidationOption = None,
    column: ColumnOption = "",
    label_column: LabelOption = "",
    images: ImagesOption = None,
    recipe: RecipeOption = None,
    output: OutputOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replay a labelled data set as if annotators answered, and see how many labels a strategy saves.

    Features, strategies, learner, holdout and gate are the service's own. An export is also played in the order it was
    labelled in (`as_labelled`).

    [dim]Examples:[/]

    [cyan]labelloop simulate digits --strategy margin --strategy typiclust[/]

    [cyan]labelloop simulate photos/ --budget 500 --batch 50 --seeds 5 --output report[/]

    [cyan]labelloop simulate questions.csv --column text --label-column intent[/]

    [cyan]labelloop simulate project-7.json --images uploads/[/]

    [cyan]labelloop simulate pets/ --recipe cats-and-dogs[/]
    """
    from labelloop.cli.simulating.source import Columns, read_source, with_test
    from labelloop.cli.simulating.wanted import Wanted, read_recipe

    said = Wanted(
        tuple(strategy or ()),
        budget,
        start,
        batch,
        seeds,
        backbone,
        cold_strategy,
        semi_supervised,
        tuple(ensemble or ()),
        finish,
        test_share,
        validation,
    )
    wanted = said.over(read_recipe(recipe)) if recipe else said
    columns = Columns(column, label_column, images)
    data = read_source(source, columns)
    if test is not None:
        data = with_test(data, read_source(test, columns))
    _run(data, wanted, output, resume=resume, as_json=as_json)


def _run(source: "Source", wanted: "Wanted", output: Path | None, *, resume: bool, as_json: bool) -> None:
    from labelloop.cli.simulating.keeping import held, write_results
    from labelloop.cli.simulating.page import page_of
    from labelloop.cli.simulating.report import results_of, show_findings, show_results
    from labelloop.cli.simulating.wanted import plan_of
    from labelloop.learning import resolve_backbone
    from labelloop.learning.simulation import Simulation
    from labelloop.settings import get_settings

    settings = get_settings()
    planned = partial(plan_of, wanted, settings, history=source.history is not None)
    # A wrong name is told before anything takes time.
    planned(len(source.ids), len(source.classes), tested=sum(source.test or ()))
    spec = _spec(source, wanted, settings)
    backbone = resolve_backbone(spec)
    where = settings.data_dir / "simulations"
    folder = output or where / Path(source.name).stem
    with held(folder):
        with progress_bars() as progress:
            prepared = _prepared(progress, source, spec, backbone, where)
            show_findings(progress.console, source, backbone, prepared)
            data = prepared.data
            tested = 0 if data.given_test is None else int(data.given_test.sum())
            plan = planned(len(data.labels), len(data.classes), tested=tested, blocks=backbone.blocks)
            simulation = Simulation(data, plan)
            cells = _cells(progress, simulation, backbone, prepared, folder, resume=resume)
        results = results_of(source, backbone, prepared, simulation, cells)
        write_results(folder, results, page_of(results))
    if as_json:
        print_json(results)
    else:
        show_results(results, folder)


def _spec(source: "Source", wanted: "Wanted", settings: "Settings") -> "BackboneSpec":
    """The backbone that is asked for, the service's where none is."""
    from labelloop.learning import BackboneSpec
    from labelloop.records import Modality

    image = source.modality is Modality.IMAGE
    return BackboneSpec(
        modality=source.modality,
        name=wanted.backbone or (settings.image_backbone if image else settings.text_backbone),
        weights=settings.image_weights if image else "",
        device=settings.device,
        offline=settings.offline,
    )


def _prepared(
    progress: "Progress", source: "Source", spec: "BackboneSpec", backbone: "ResolvedBackbone", where: Path
) -> "Prepared":
    from labelloop.cli.simulating.features import prepare

    bar = progress.add_task("Reading and embedding", total=len(source.ids))

    def told(done: int) -> None:
        ended = done == len(source.ids)
        what = "Looking for duplicates and leaks" if ended else "Reading and embedding"
        progress.update(bar, completed=done, description=what)

    found = prepare(source, spec, backbone, where / "features", told)
    progress.remove_task(bar)
    return found


def _cells(
    progress: "Progress",
    simulation: "Simulation",
    backbone: "ResolvedBackbone",
    prepared: "Prepared",
    folder: Path,
    *,
    resume: bool,
) -> "list[Cell]":
    """Play what has not been played yet, keeping each cell when it ends."""
    from rich.markup import escape

    from labelloop.cli.simulating.keeping import CellFile, fingerprint

    plan = simulation.plan
    told = fingerprint(backbone.id, prepared.contents, prepared.data, plan.cell_facts())
    kept = CellFile(folder, told)
    if not resume:
        kept.clear()
    done = kept.read()
    if resume and not done:
        progress.console.print(f"{escape(str(folder))} keeps nothing of this data and plan; all of it is played.")
    bar = progress.add_task("Playing", total=plan.budget * len(plan.cells))
    for number, (name, seed) in enumerate(plan.cells):
        progress.update(bar, completed=number * plan.budget, description=f"{name}, seed {seed + 1} of {plan.seeds}")
        if (name, seed) not in done:

            def told_at(labels: int, begun: int = number * plan.budget) -> None:
                progress.update(bar, completed=begun + labels)

            try:
                done[name, seed] = simulation.play(name, seed, told_at)
            except KeyboardInterrupt:
                played = sum(cell in done for cell in plan.cells)
                progress.console.print(
                    f"Stopped with {played} of {len(plan.cells)} played; the same with --resume plays the rest."
                )
                raise
            kept.add(done[name, seed])
    return [done[cell] for cell in plan.cells]

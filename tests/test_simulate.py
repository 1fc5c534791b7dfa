"""`labelloop simulate`: from data on disk to a table, JSON and a page; stopped and resumed."""

import errno
import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from labelloop.cli import app
from labelloop.cli.simulating import features
from labelloop.cli.simulating.charts import Axes, Series, line_chart, nice_ticks
from labelloop.cli.simulating.keeping import CellFile, held, write_results
from labelloop.cli.simulating.report import finish_lines, saving_text, show_results
from labelloop.cli.simulating.wanted import Wanted, plan_of, read_recipe
from labelloop.errors import SettingsError
from labelloop.learning import simulation
from labelloop.settings import get_settings, load_settings
from support.datasets import exported_task, image_folder, tiny_image, write_export

SMALL = ("--backbone", "plain", "--budget", "12", "--start", "4", "--batch", "4", "--seeds", "2")


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LABELLOOP_DATA_DIR", str(tmp_path / "run"))
    get_settings.cache_clear()
    yield tmp_path / "run"
    get_settings.cache_clear()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "photos", 24)


def simulate(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["simulate", *arguments], env={"COLUMNS": "160"})
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.output


def results(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return read


def test_a_folder_is_played_and_told(photos: Path, tmp_path: Path) -> None:
    said = simulate(str(photos), *SMALL, "-s", "margin", "-s", "typiclust", "-o", str(tmp_path / "out"))

    assert "photos: 48 of 48 items, 2 classes, features of plain." in said
    assert re.search(r"random +\d+\.\d% ±\d", said)
    assert "Accuracy by labels bought, on 12 test items (mean ± standard error of 2 seeds)" in said
    assert "Labels for what random reaches" in said
    found = results(tmp_path / "out")
    assert [(cell["strategy"], cell["seed"]) for cell in found["cells"]] == [
        (name, seed) for seed in (0, 1) for name in ("random", "margin", "typiclust")
    ]
    assert found["summary"]["curves"]["accuracy"][0]["labels"] == [4, 8, 12]
    assert found["cells"][0]["rounds"][0]["bought"][0].endswith(".png")


def test_the_same_call_gives_the_same_figures(photos: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate(str(photos), *SMALL, "-s", "margin", "-o", str(tmp_path / name))

    assert results(tmp_path / "one") == results(tmp_path / "two")


def test_what_was_finished_is_not_played_again(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    play = simulation.Simulation.play
    played: list[tuple[str, int]] = []

    def counted(self: Any, strategy: str, seed: int, *arguments: Any) -> Any:
        if len(played) == 2:
            raise KeyboardInterrupt
        played.append((strategy, seed))
        return play(self, strategy, seed, *arguments)

    monkeypatch.setattr(simulation.Simulation, "play", counted)
    said = simulate(str(photos), *SMALL, "-s", "margin", "-o", str(out), code=130)
    assert "Stopped with 2 of 4 played; the same with --resume plays the rest." in said
    with (out / "cells.jsonl").open("a") as file:
        file.write('{"fingerprint": "cut o')  # as a kill in mid-write leaves it
    played.clear()
    simulate(str(photos), *SMALL, "-s", "margin", "-o", str(out), "--resume")
    assert played == [("random", 1), ("margin", 1)]
    played.clear()
    simulate(str(photos), *SMALL, "-s", "margin", "-o", str(out), "--resume")
    assert played == []
    simulate(str(photos), *SMALL, "-s", "margin", "-s", "entropy", "-o", str(out), "--resume")
    assert played == [("entropy", 0), ("entropy", 1)]


def test_cells_of_another_plan_or_other_data_are_not_taken(photos: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    simulate(str(photos), *SMALL, "-s", "random", "-o", out)
    assert "keeps nothing" not in simulate(str(photos), *SMALL, "-s", "random", "-o", out, "--resume")
    said = simulate(
        str(photos), *SMALL[:-2], "-s", "random", "--seeds", "1", "--cold-strategy", "typiclust", "-o", out, "--resume"
    )
    assert "keeps nothing of this data and plan; all of it is played." in " ".join(said.split())
    (photos / "cat" / "0.png").write_bytes(tiny_image("owl", 1))
    simulate(
        str(photos), *SMALL[:-2], "-s", "random", "--seeds", "1", "--cold-strategy", "typiclust", "-o", out, "--resume"
    )

    kept = [json.loads(line)["fingerprint"] for line in (tmp_path / "out" / "cells.jsonl").read_text().splitlines()]
    assert len(set(kept)) == 3


def _table(path: Path, start: int, count: int) -> Path:
    rows = [
        f"{('apples and pears', 'iron and steel')[n % 2]} {n * n},{('fruit', 'metal')[n % 2]}" for n in range(count)
    ]
    path.write_text("\n".join(["text,label", *(row.replace(" ", f" {start} ", 1) for row in rows)]))
    return path


def test_cells_of_another_test_set_are_not_taken(tmp_path: Path) -> None:
    one, other = _table(tmp_path / "one.csv", 1, 30), _table(tmp_path / "other.csv", 2, 30)
    small = (*SMALL, "-s", "margin")
    simulate(str(one), "--test", str(other), *small, "-o", str(tmp_path / "out"))
    simulate(str(other), "--test", str(one), *small, "-o", str(tmp_path / "out"), "--resume")
    simulate(str(other), "--test", str(one), *small, "-o", str(tmp_path / "fresh"))

    assert results(tmp_path / "out")["cells"] == results(tmp_path / "fresh")["cells"]


def test_cells_of_the_same_rows_in_another_order_are_not_taken(tmp_path: Path) -> None:
    """Rows of a table are known by their numbers, which another order gives to others."""
    table = _table(tmp_path / "table.csv", 1, 40)
    header, *rows = table.read_text().splitlines()
    simulate(str(table), *SMALL, "-s", "random", "-o", str(tmp_path / "out"))
    table.write_text("\n".join([header, *rows[::-1]]))
    simulate(str(table), *SMALL, "-s", "random", "-o", str(tmp_path / "out"), "--resume")
    simulate(str(table), *SMALL, "-s", "random", "-o", str(tmp_path / "fresh"))

    assert results(tmp_path / "out")["cells"] == results(tmp_path / "fresh")["cells"]


def test_budget_that_nobody_named_fits_beside_validation(photos: Path, tmp_path: Path) -> None:
    arguments = ("--backbone", "plain", "--seeds", "1", "--validation", "16", "-s", "random")
    simulate(str(photos), *arguments, "-o", str(tmp_path / "out"))

    assert results(tmp_path / "out")["plan"]["budget"] == 16


def test_budget_that_nobody_named_fits_beside_a_large_test_set(tmp_path: Path) -> None:
    small, large = _table(tmp_path / "small.csv", 1, 20), _table(tmp_path / "large.csv", 2, 60)
    simulate(
        str(small),
        "--test",
        str(large),
        "--backbone",
        "plain",
        "--seeds",
        "1",
        "-s",
        "random",
        "-o",
        str(tmp_path / "out"),
    )

    assert results(tmp_path / "out")["cells"]


def test_a_file_whose_name_is_no_text_is_played_like_others(photos: Path, tmp_path: Path) -> None:
    folder = next(path for path in sorted(photos.iterdir()) if path.is_dir())
    first = sorted(folder.iterdir())[0]
    first.rename(folder / os.fsdecode(b"caf\xe9.png"))
    said = simulate(str(photos), *SMALL, "-s", "random", "-o", str(tmp_path / "out"))

    assert "48 of 48 items" in said


def test_results_that_cannot_be_written_are_told_before_anything_takes_time(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for where in (tmp_path / "taken", tmp_path / "taken" / "below"):
        said = simulate(str(photos), *SMALL, "-o", str(where), code=1)
        assert "cannot hold the results" in " ".join(said.split())
        assert "embedding" not in said


@pytest.mark.parametrize("name", ["cells.jsonl", "results.json", "report.html"])
def test_a_folder_in_the_place_of_results_is_told_before_anything_takes_time(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    monkeypatch.setattr(features, "prepare", lambda *_: pytest.fail("embedded first"))
    said = simulate(str(photos), *SMALL, "-o", str(tmp_path / "out"), code=1)

    assert f"cannot hold the results: {name} in it is a folder" in " ".join(said.split())


def test_two_simulations_never_write_into_one_folder(photos: Path, tmp_path: Path) -> None:
    with held(tmp_path / "out"):
        said = simulate(str(photos), *SMALL, "-o", str(tmp_path / "out"), code=1)
    assert "cannot hold the results: another simulation writes into it; name another" in " ".join(said.split())
    simulate(str(photos), *SMALL, "-s", "random", "-o", str(tmp_path / "out"))


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = CellFile(tmp_path, "f")
    monkeypatch.setattr(Path, "open", full)
    for write in (lambda: kept.add(simulation.Cell("random", 0, ())), lambda: write_results(tmp_path, {}, "")):
        with pytest.raises(
            SettingsError, match="cannot hold the results: No space left on device; name another with --output"
        ):
            write()


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b"null",
        b'{"x": 1}',
        b"\xff\xfe",
        b'{"fingerprint": "f", "cell": null}',
        b'{"fingerprint": "f", "cell": {"strategy": "random", "seed": 0}}',
        b'{"fingerprint": "f", "cell": {"strategy": "random", "seed": 0, "finish": null, "rounds": [{"bought": []}]}}',
    ],
)
def test_a_line_that_is_no_cell_is_passed_over(tmp_path: Path, line: bytes) -> None:
    kept = CellFile(tmp_path, "f")
    cell = simulation.Cell("random", 0, ())
    (tmp_path / "cells.jsonl").write_bytes(line)
    kept.add(cell)

    assert kept.read() == {("random", 0): cell}


def test_without_resume_it_begins_anew(photos: Path, tmp_path: Path) -> None:
    for _ in range(2):
        simulate(str(photos), *SMALL, "-s", "random", "-o", str(tmp_path / "out"))

    assert len((tmp_path / "out" / "cells.jsonl").read_text().splitlines()) == 2


def test_what_is_wrong_with_the_data_is_shown_first(photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "broken.png").write_bytes(b"no image")
    (photos / "cat" / "empty.png").write_bytes(b"")
    (photos / "dog" / "copy.png").write_bytes((photos / "dog" / "0.png").read_bytes())
    said = simulate(str(photos), *SMALL, "-s", "random", "-o", str(tmp_path / "out"))

    assert "48 of 51 items" in said
    assert "broken: 1 item that cannot be read: missing or damaged. They are left out. cat/broken.png" in said
    assert "empty: 1 item with nothing in them." in said
    assert "duplicate: 1 item with the same content as an earlier one. The first is kept. dog/copy.png" in said
    assert len(results(tmp_path / "out")["data"]["findings"]) == 3


def test_an_image_that_is_not_there_is_told_as_missing(photos: Path, tmp_path: Path) -> None:
    lines = [f"{label}/{number}.png,{label}" for label in ("cat", "dog") for number in range(24)]
    (photos / "labels.csv").write_text("\n".join(["image,label", *lines, "cat/gone.png,cat", "dog/gone.png,dog"]))
    said = simulate(str(photos / "labels.csv"), *SMALL, "-s", "random", "-o", str(tmp_path / "out"))

    assert "broken: 2 items that cannot be read: missing or damaged. They are left out. row 49, row 50" in said
    assert len(results(tmp_path / "out")["data"]["findings"]) == 1


def test_features_are_computed_once(photos: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from labelloop.learning.backbones.plain_images import PlainImages

    simulate(str(photos), *SMALL, "-s", "random")
    monkeypatch.setattr(PlainImages, "embed", lambda *_: pytest.fail("embedded again"))
    simulate(str(photos), *SMALL, "-s", "random")

    assert (data_dir / "simulations" / "photos" / "report.html").exists()


def test_json_is_what_the_file_holds(photos: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["simulate", str(photos), *SMALL, "-s", "random", "--json", "-o", str(tmp_path / "out")]
    )

    assert json.loads(done.stdout) == results(tmp_path / "out")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_well_formed(tmp_path: Path) -> None:
    photos = image_folder(tmp_path / "<b>a&b", 24)
    simulate(str(photos), *SMALL, "-s", "margin", "-o", str(tmp_path / "out"))
    text = (tmp_path / "out" / "report.html").read_text()
    page = _Page()
    page.feed(text)

    assert page.open == []
    assert page.addresses == []
    assert "<script" not in text and "http" not in text
    assert "Simulation on &lt;b&gt;a&amp;b" in text
    assert "prefers-color-scheme: dark" in text
    assert text.count('class="chart"') == 7  # accuracy, evenness, two of shares, macro F1, calibration, log loss
    assert "labels bought" in text and "standard error" in text


def test_one_seed_claims_no_band(photos: Path, tmp_path: Path) -> None:
    said = simulate(str(photos), *SMALL[:-1], "1", "-s", "margin", "-o", str(tmp_path / "out"))
    assert "on 12 test items (one seed)" in said
    text = (tmp_path / "out" / "report.html").read_text()

    assert "with one seed nothing is known of the chance in it" in text
    assert "12 test items held out of it" in text and "; one seed; features of plain" in text
    assert "<polygon" not in text


def test_a_table_of_texts_is_played(tmp_path: Path) -> None:
    rows = [
        f"{'refund my money' if n % 2 else 'where is my parcel'} number {n * n},{'refund' if n % 2 else 'parcel'}"
        for n in range(60)
    ]
    (tmp_path / "mail.csv").write_text("text,label\n" + "\n".join(rows))
    simulate(str(tmp_path / "mail.csv"), *SMALL, "-s", "least_confidence", "-o", str(tmp_path / "out"))

    assert results(tmp_path / "out")["summary"]["curves"]["accuracy"][1]["mean"][-1] > 0.9


def test_an_export_of_a_finished_project_is_played(tmp_path: Path) -> None:
    image_folder(tmp_path / "uploads", 24)
    tasks = [
        exported_task(number, {"image": f"/data/upload/1/{label}/{number % 24}.png"}, label)
        for number, label in enumerate(["cat"] * 24 + ["dog"] * 24)
    ]
    path = write_export(
        tmp_path / "export.json", [*tasks, exported_task(99, {"image": "/data/upload/1/cat/0.png"}, None)]
    )
    said = simulate(str(path), "--images", str(tmp_path / "uploads"), *SMALL, "-o", str(tmp_path / "out"))

    assert "1 task is left out, with no choice that counts or with several." in said
    found = results(tmp_path / "out")
    assert found["data"]["used"] == 48
    assert found["plan"]["strategies"] == ["random", "auto", "as_labelled"]
    assert found["cells"][2]["rounds"][-1]["counts"] == [12, 0]  # they labelled all cats first


def test_a_given_test_set_measures_and_its_copies_are_not_trained_on(photos: Path, tmp_path: Path) -> None:
    test = image_folder(tmp_path / "test", 4)
    said = simulate(str(photos), *SMALL, "-s", "random", "--test", str(test), "-o", str(tmp_path / "out"))

    assert "leak: 8 items to be trained on that are held out too" in said
    found = results(tmp_path / "out")
    assert found["data"]["used"] == 48
    assert found["data"]["given_test"]
    assert "2 seeds, each with draws of its own; " in (tmp_path / "out" / "report.html").read_text()


def test_the_cats_and_dogs_recipe_runs_at_small_size(tmp_path: Path) -> None:
    """The shape of the study with counts divided by 125, and a plain backbone."""
    photos = image_folder(tmp_path / "photos", 60)
    small = ("--start", "16", "--batch", "4", "--budget", "32", "--validation", "20", "--test-share", "20")
    arguments = ("--recipe", "cats-and-dogs", "--backbone", "plain", "--seeds", "2", *small)
    simulate(str(photos), *arguments, "-o", str(tmp_path / "out"))

    found = results(tmp_path / "out")
    assert found["plan"]["strategies"] == ["random", "least_confidence"]
    played = found["cells"][1]["rounds"]
    assert [one["labels"] for one in played] == [16, 20, 24, 28, 32]
    assert [one["order"] for one in played] == ["random"] + ["least_confidence"] * 4
    assert "20 held-out labels" in played[-1]["reason"]
    assert found["cells"][1]["finish"]["order"] == "pseudo_label"


def test_the_cats_and_dogs_recipe_is_the_classic_study() -> None:
    plan = plan_of(read_recipe("cats-and-dogs"), load_settings(), items=25_000, classes=2)

    assert list(plan.rounds()) == [2000, 2500, 3000, 3500, 4000]
    assert (plan.validation, plan.test, plan.finish) == (2500, 2500, "pseudo_label")
    assert plan.played == ("random", "least_confidence")
    assert read_recipe("cats-and-dogs").backbone == "resnet50"


def test_what_the_service_is_set_to_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLOOP_ENSEMBLE_COMBINATION", "stacking")
    monkeypatch.setenv("LABELLOOP_BALANCE", "0.5")
    monkeypatch.setenv("LABELLOOP_APART", "0.25")
    plan = plan_of(Wanted(), load_settings(), items=100, classes=2)

    assert (plan.learner.combination, plan.balance, plan.apart) == ("stacking", 0.5, 0.25)


def test_joined_backbones_are_played_as_several(tmp_path: Path) -> None:
    texts = _table(tmp_path / "texts.csv", 1, 40)
    simulate(str(texts), *SMALL[2:], "--backbone", "plain+plain", "-s", "random", "-o", str(tmp_path / "out"))

    blocks = results(tmp_path / "out")["plan"]["learner"]["blocks"]
    assert len(blocks) == 2 and blocks[0] == blocks[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budget = ", "is not TOML"),
        ("# caf\xe9", "is not TOML"),
        ("labels = 3", "says 'labels', which means nothing; it may say strategies, budget"),
        ('budget = "many"', "has 'many' for 'budget', which is of the wrong kind"),
        ("seeds = true", "has True for 'seeds'"),
        ('strategies = [["margin"]]', r"has \[\['margin'\]\] for 'strategies', which is of the wrong kind"),
        ("ensemble = [1, 2]", r"has \[1, 2\] for 'ensemble', which is of the wrong kind"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.toml").write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match=said):
        read_recipe(str(tmp_path / "own.toml"))


def test_what_is_said_on_the_command_line_holds_over_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'strategies = ["entropy"]\nbudget = 50\nbatch = "double"\nensemble = ["a", "b"]\n'
    )
    wanted = Wanted(budget=20, finish="").over(read_recipe(str(tmp_path / "own.toml")))

    assert wanted == Wanted(("entropy",), 20, batch="double", ensemble=("a", "b"), finish="")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-s", "marge"), "No strategy is called 'marge'; there are "),
        (("--budget", "400"), "The budget of 400 labels is larger than the data, which has 48 items; ask for less."),
        (("--budget", "40"), "The budget of 40 labels is larger than the pool of 36 items"),
        (("--start", "13"), "a start of 13 labels is not within the budget"),
        (("--batch", "some"), "A batch is a number of labels above 0 or 'double', not 'some'."),
        (("--recipe", "birds"), "There is no recipe 'birds'; name a TOML file or one of cats-and-dogs."),
        (("--test-share", "30"), "30 items of 48 are wanted for test, more than half"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(photos: Path, arguments: tuple[str, ...], said: str) -> None:
    told = simulate(str(photos), *SMALL, *arguments, code=1)

    assert said in told
    assert told.strip().splitlines()[-1].startswith("labelloop: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-s", "as_labelled"), "'as_labelled' needs data that tells when each item was labelled"),
        (("--semi-supervised", "magic"), "No semi-supervised method is called 'magic'"),
        (("--finish", "magic"), "No semi-supervised method is called 'magic'"),
        (("--ensemble", "magic"), "No head is called 'magic'"),
        (("--cold-strategy", "margin"), "The cold strategy 'margin' orders before there is a trained model"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_embedded(
    photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(features, "prepare", lambda *_: pytest.fail("embedded first"))
    told = simulate(str(photos), *SMALL, *arguments, code=1)

    assert said in told


def test_a_data_set_of_which_nothing_can_be_read_is_told(tmp_path: Path) -> None:
    tasks = [exported_task(n, {"image": f"/data/upload/1/{n}.png"}, ("cat", "dog")[n % 2]) for n in range(20)]
    path = write_export(tmp_path / "export.json", tasks)

    assert "None of the 20 items of export.json can be read" in simulate(str(path), *SMALL, code=1)


def test_data_of_which_one_class_is_left_is_told_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "same.csv").write_text("text,label\n" + "the same,cat\nthe same,dog\n" * 10)
    said = " ".join(simulate(str(tmp_path / "same.csv"), *SMALL, code=1).split())

    assert "What can be used of same.csv is of fewer than two classes: " in said
    assert "20 items with the same content under different labels." in said


def test_a_table_fits_a_narrow_terminal(photos: Path, tmp_path: Path) -> None:
    arguments = ("--backbone", "plain", "--budget", "24", "--start", "2", "--batch", "2", "--seeds", "2")
    done = CliRunner().invoke(
        app, ["simulate", str(photos), *arguments, "-s", "diverse_margin", "-o", str(tmp_path)], env={"COLUMNS": "80"}
    )

    assert re.search(r"^diverse_margin( +\d+\.\d%( ±\d+\.\d)?){5}$", done.output, re.MULTILINE)


@pytest.mark.parametrize(
    ("labels", "saved", "error", "at_most", "said"),
    [
        (None, None, None, False, "not reached"),
        (1250.0, 0.5, None, False, "1,250 (50% fewer)"),
        (1250.0, 0.5, 0.072, False, "1,250 (50% fewer, ±7)"),
        (30.4, -0.25, 0.2, False, "30 (25% more, ±20)"),
        (10.0, 0.0, 0.03, False, "10 (as many, ±3)"),
        (10.0, 0.5, None, True, "at most 10 (50% fewer)"),
        (10.0, None, None, True, "at most 10"),
    ],
)
def test_savings_are_told_in_words(
    labels: float | None, saved: float | None, error: float | None, at_most: bool, said: str
) -> None:
    saving = {"labels": labels, "saved": saved, "saved_standard_error": error, "at_most": at_most}
    assert saving_text(saving) == said


@pytest.mark.parametrize(
    ("finish", "methods", "said"),
    [
        ("pseudo_label", ["supervised", "kernel"], "went live 0 of 2 times."),
        ("pseudo_label", ["pseudo_label", "kernel"], "went live 1 of 2 times, +10.0% in accuracy where it did."),
        ("auto", ["label_spreading", "pseudo_label"], "went live 2 of 2 times, +15.0% in accuracy where it did."),
    ],
)
def test_a_finish_is_told_of_the_method_and_not_of_another_head(finish: str, methods: list[str], said: str) -> None:
    ends = [{"published": True, "method": method, "accuracy": 0.8 + n / 10} for n, method in enumerate(methods)]
    cells = [{"strategy": "margin", "rounds": [{"accuracy": 0.7}], "finish": end} for end in ends]

    assert finish_lines({"plan": {"strategies": ["margin"], "finish": finish}, "cells": cells}) == [
        f"margin: {finish} at the end {said}"
    ]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.5, 0.99, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (0.7, 0.7, [0.6, 0.8]),
        (0.0, 0.0, [0.0, 0.2]),
        (3, 17, [0, 5, 10, 15, 20]),
    ],
)
def test_an_axis_encloses_its_values_in_round_steps(low: float, high: float, ticks: list[float]) -> None:
    found = nice_ticks(low, high)

    assert found[0] <= low <= high <= found[-1]
    assert found == pytest.approx(ticks)


def _written(chart: str, anchor: str) -> list[str]:
    """What stands beside an axis."""
    return re.findall(rf'text-anchor="{anchor}">([^<]+)</text>', re.sub(r'<text class="axis".*?</text>', "", chart))


def test_an_axis_says_exactly_where_its_lines_are() -> None:
    chart = line_chart([Series("ece", [10, 22], [0.03, 0.12], [0, 0])], Axes("labels", "error"))

    assert _written(chart, "end") == ["2%", "4%", "6%", "8%", "10%", "12%"]
    chart = line_chart([Series("ece", [10, 22], [0.03, 0.14], [0, 0])], Axes("labels", "error"))
    assert _written(chart, "end") == ["2.5%", "5.0%", "7.5%", "10.0%", "12.5%", "15.0%"]
    assert _written(chart, "middle") == ["10", "15", "20"]


def test_numbers_below_a_chart_keep_apart() -> None:
    doubled = [10, 20, 40, 80, 160, 320, 640, 1280, 1300]
    chart = line_chart([Series("auto", doubled, [0.5] * 9, [0] * 9)], Axes("labels", "accuracy", doubling=True))

    assert _written(chart, "middle") == ["10", "20", "40", "80", "160", "320", "640", "1,300"]


def test_an_axis_of_shares_ends_at_all_of_them() -> None:
    sure = Series("auto", [10, 22, 40], [0.91, 0.99, 0.99], [0.03, 0.04, 0.04])

    assert _written(line_chart([sure], Axes("labels", "accuracy")), "end")[-1] == "100.0%"
    perfect = line_chart([Series("auto", [10, 22], [1, 1], [0, 0])], Axes("labels", "accuracy"))
    assert _written(perfect, "end") == ["90%", "92%", "94%", "96%", "98%", "100%"]


def test_no_band_lies_over_a_line_and_many_are_faint() -> None:
    series = [Series(f"strategy {number}", [10, 20], [0.5, 0.6], [0.1, 0.1]) for number in range(9)]
    chart = line_chart(series, Axes("labels", "accuracy"))

    assert chart.rindex("<polygon") < chart.index("<polyline")
    assert chart.count('opacity="0.1"') == 9
    assert line_chart(series[:3], Axes("labels", "accuracy")).count('opacity="0.18"') == 3


def test_savings_of_many_strategies_fit_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"strategy_{number}" for number in range(8)]
    saving = {"baseline_labels": 60.0, "labels": 1250.0, "at_most": True, "saved": 0.5, "saved_standard_error": 0.5}
    curve = {"strategy": "random", "labels": [20, 60], "mean": [0.5, 0.6], "standard_error": [0.1, 0.1], "seeds": 2}
    savings = [{**saving, "strategy": name, "accuracy": share} for share in (0.5, 0.6, 0.7, 0.8) for name in names]
    monkeypatch.setenv("COLUMNS", "80")
    show_results(
        {
            "data": {"tested": [12]},
            "plan": {"seeds": 2, "finish": "", "strategies": ["random", *names]},
            "baseline": "random",
            "summary": {"curves": {"accuracy": [curve]}, "savings": savings},
            "cells": [],
        },
        tmp_path,
    )

    said = capsys.readouterr().out
    assert re.search(r"^strategy +50\.0% +60\.0% +70\.0% +80\.0%$", said, re.MULTILINE)
    assert re.search(r"^random( +60){4}$", said, re.MULTILINE)
    assert said.count("1,250") == 32 and "…" not in said

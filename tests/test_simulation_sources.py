"""Labelled data is read from whatever holds it; what is wrong with it is told in one sentence."""

import json
from pathlib import Path

import pytest

from labelloop.cli.simulating.export import find_image
from labelloop.cli.simulating.source import Columns, read_source, with_test
from labelloop.errors import DataSetError
from labelloop.records import Modality
from support.datasets import exported_task, image_folder, tiny_image, write_export

PLAIN = Columns()
PART = {"x": 1, "y": 1, "width": 5, "height": 5, "rotation": 0}


def test_digits_are_images() -> None:
    source = read_source("digits", PLAIN)

    assert (len(source.ids), len(source.classes), source.modality) == (1797, 10, Modality.IMAGE)
    assert bytes(source.read(3)).startswith(b"\x89PNG")


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    image_folder(tmp_path, 2)
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "readme.md").write_text("not a class")
    for left in ("cat/._0.png", "cat/.ipynb_checkpoints/0-checkpoint.png", "__MACOSX/cat/0.png", ".git/a.png"):
        (tmp_path / left).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / left).write_bytes(tiny_image("cat", 0))
    (tmp_path / "dog" / "more").mkdir()
    (tmp_path / "dog" / "more" / "deep.PNG").write_bytes(tiny_image("dog", 9))
    source = read_source(str(tmp_path), PLAIN)

    assert list(zip(source.ids, source.labels, strict=True)) == [
        ("cat/0.png", "cat"),
        ("cat/1.png", "cat"),
        ("dog/0.png", "dog"),
        ("dog/1.png", "dog"),
        ("dog/more/deep.PNG", "dog"),
    ]
    assert source.read(4) == tiny_image("dog", 9)
    assert source.test is None


def test_a_folder_with_its_own_test_set(tmp_path: Path) -> None:
    for part in ("train", "test", "validation"):
        image_folder(tmp_path / part, 1)
    source = read_source(str(tmp_path), PLAIN)

    tested = [name for name, test in zip(source.ids, source.test or (), strict=True) if test]
    assert tested == ["test/cat/0.png", "test/dog/0.png"]
    assert source.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Training_Set/training_set", "Test_Set"), ("trainset", "testset")]
)
def test_a_folder_beside_the_parts_of_the_data_makes_no_classes_of_them(tmp_path: Path, train: str, test: str) -> None:
    image_folder(tmp_path / train, 1)
    image_folder(tmp_path / test, 1)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "cats.xml").write_text("not an image")
    source = read_source(str(tmp_path), PLAIN)

    assert source.classes == ("cat", "dog")
    assert sorted(source.test or ()) == [False, False, True, True]


def test_a_file_that_cannot_be_read_has_no_content(tmp_path: Path) -> None:
    image_folder(tmp_path, 1)
    source = read_source(str(tmp_path), PLAIN)
    (tmp_path / "cat" / "0.png").unlink()

    assert source.read(0) is None


@pytest.mark.parametrize(
    ("suffix", "encoding", "delimiter"),
    [(".csv", "utf-8", ","), (".csv", "utf-8-sig", ";"), (".csv", "utf-16", "|"), (".tsv", "cp1252", "\t")],
)
def test_a_table_of_texts(tmp_path: Path, suffix: str, encoding: str, delimiter: str) -> None:
    path = tmp_path / f"questions{suffix}"
    rows = [["Text", "id", "Label"], ["Le café est ouvert ?", "1", "drink"], ["Où est la gare ?", "2", "way"], ["cut"]]
    path.write_bytes("\n".join(delimiter.join(row) for row in rows).encode(encoding))
    source = read_source(str(path), PLAIN)

    assert [source.read(0), source.read(1)] == ["Le café est ouvert ?", "Où est la gare ?"]
    assert list(source.labels) == ["drink", "way"]
    assert source.modality is Modality.TEXT
    assert source.notes == ("1 row is cut short and left out.",)


def test_lines_that_an_unclosed_quote_runs_through_are_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "questions.csv"
    lines = [
        "text,label",
        '"Hello,greet',
        "Bye,leave",
        '"Good day, you",greet',
        "Ciao,leave",
        '"a ""b"" c",greet',
        '"So long,leave',
        "Hi,greet",
    ]
    path.write_text("\n".join(lines))
    source = read_source(str(path), PLAIN)

    assert [source.read(row) for row in range(2)] == ["Ciao", 'a "b" c']
    assert list(source.labels) == ["leave", "greet"]
    [note] = source.notes
    assert note.startswith("5 lines are left out, because 2 quotes, the first in line 2, are not closed")
    assert source.ids == ["row 4", "row 5"]


def test_rows_keep_their_numbers_where_others_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "questions.csv"
    path.write_text("text,label\nHello,greet\ncut\nBye,leave\n")

    assert read_source(str(path), PLAIN).ids == ["row 1", "row 3"]


def test_a_text_of_several_lines_in_quotes_is_one_text(tmp_path: Path) -> None:
    path = tmp_path / "questions.csv"
    path.write_text('text,label\n"Good\n\nday",greet\nBye,leave\n')
    source = read_source(str(path), PLAIN)

    assert ([source.read(0), source.read(1)], source.notes) == (["Good day", "Bye"], ())


def test_a_table_of_an_old_mac_with_blank_lines_above_is_read(tmp_path: Path) -> None:
    (tmp_path / "mac.csv").write_bytes(b'\r\rtext;label\r"one;\rtwo";cat\rthree;dog\r')
    source = read_source(str(tmp_path / "mac.csv"), PLAIN)

    assert (source.read(0), list(source.labels)) == ("one; two", ["cat", "dog"])


def test_a_table_of_image_paths(tmp_path: Path) -> None:
    image_folder(tmp_path / "shots", 1)
    path = tmp_path / "labels.csv"
    path.write_text("file,kind\nshots/cat/0.png,cat\nshots/dog/0.png,dog\n")
    source = read_source(str(path), Columns(label="kind"))

    assert source.modality is Modality.IMAGE
    assert source.read(1) == tiny_image("dog", 0)
    elsewhere = read_source(str(path), Columns(label="kind", images=tmp_path / "shots"))
    assert elsewhere.read(1) is None


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("", PLAIN, "is empty"),
        ("text,label\n", PLAIN, "has a header and no row below it"),
        ("a,b\n1,2\n", PLAIN, "no column of labels under a usual name; it has 'a', 'b'. Say which with --label-column"),
        ("a,label\n1,2\n", PLAIN, "no column of texts or paths of images .* --column"),
        ("text,label\n1,2\n", Columns(label="kind"), "no column 'kind'; it has 'text', 'label'"),
        ("text,label\na,cat\nb,cat\n", PLAIN, "has labels of only 'cat'; a simulation needs two classes"),
        ("text,label\na,\nb,\n", PLAIN, "has labels of none"),
    ],
)
def test_what_a_table_lacks_is_told(tmp_path: Path, text: str, columns: Columns, said: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(DataSetError, match=said) as told:
        read_source(str(path), columns)
    assert "data.csv" in str(told.value)


def test_an_export_is_merged_as_the_service_does_it(tmp_path: Path) -> None:
    tasks = [
        exported_task(1, {"text": "one vote"}, "cat"),
        exported_task(2, {"text": "majority"}, "dog", "cat", "dog"),
        exported_task(3, {"text": "skipped"}, None),
        exported_task(4, {"text": "nobody"}),
        exported_task(5, {"text": "<p>marked &amp; up</p>"}, None, "dog"),
    ]
    source = read_source(str(write_export(tmp_path / "export.json", tasks)), PLAIN)

    assert list(zip(source.ids, source.labels, strict=True)) == [
        ("task 1", "cat"),
        ("task 2", "dog"),
        ("task 5", "dog"),
    ]
    assert source.read(2) == "marked & up"
    assert [moment[17:19] for moment in source.history or ()] == ["00", "00", "01"]
    assert source.notes == ("2 tasks are left out, with no choice that counts or with several.",)


def test_a_label_corrected_later_keeps_its_place_in_the_order_of_labelling(tmp_path: Path) -> None:
    tasks = [exported_task(number, {"text": f"text {number}"}, ("cat", "dog")[number % 2]) for number in (1, 2, 3)]
    for task, day in zip(tasks, ("01", "02", "03"), strict=True):
        task["annotations"][0]["created_at"] = f"2026-11-{day}T10:00:00Z"
        task["annotations"][0]["updated_at"] = f"2026-11-{day}T10:00:00Z"
    tasks[0]["annotations"][0]["updated_at"] = "2026-12-01T10:00:00Z"
    source = read_source(str(write_export(tmp_path / "export.json", tasks)), PLAIN)

    assert [name for _, name in sorted(zip(source.history or (), source.ids, strict=True))] == [
        "task 1",
        "task 2",
        "task 3",
    ]


def test_an_export_without_dates_is_played_but_for_the_order_of_labelling(tmp_path: Path) -> None:
    tasks = [exported_task(number, {"text": f"text {number}"}, ("cat", "dog")[number % 2]) for number in (1, 2, 3)]
    del tasks[0]["updated_at"], tasks[0]["annotations"][0]["updated_at"]
    source = read_source(str(write_export(tmp_path / "export.json", tasks)), PLAIN)

    assert (list(source.labels), source.history) == (["dog", "cat", "dog"], None)
    assert source.notes == ("Some annotations have no date, so the order they were made in is not played.",)


def test_an_annotation_that_tells_only_when_it_was_made_is_dated_by_that(tmp_path: Path) -> None:
    tasks = [exported_task(number, {"text": f"text {number}"}, ("cat", "dog")[number % 2]) for number in (1, 2)]
    for task in tasks:
        task["annotations"][0]["created_at"] = task["annotations"][0].pop("updated_at")
    source = read_source(str(write_export(tmp_path / "export.json", tasks)), PLAIN)

    assert source.history is not None and source.notes == ()


def test_a_control_about_parts_of_tasks_is_passed_over(tmp_path: Path) -> None:
    tasks = [exported_task(n, {"image": "a.png"}, ("cat", "dog")[n % 2]) for n in (1, 2)]
    for task in tasks:
        task["annotations"][0]["result"] += exported_task(3, {}, "red", control="colour", part=PART)["annotations"][0][
            "result"
        ]
    source = read_source(str(write_export(tmp_path / "export.json", tasks)), PLAIN)

    assert source.classes == ("cat", "dog")


def test_a_conversation_is_found_and_read(tmp_path: Path) -> None:
    tasks = [
        exported_task(n, {"talk": [{"author": "me", "text": f"hello {n}"}]}, ("cat", "dog")[n % 2]) for n in (1, 2)
    ]
    source = read_source(str(write_export(tmp_path / "export.json", tasks)), PLAIN)

    assert (source.modality, source.read(0)) == (Modality.TEXT, "me: hello 1")


def test_the_only_text_of_the_tasks_is_found_however_deep(tmp_path: Path) -> None:
    tasks = [exported_task(n, {"doc": {"body": f"page {n}"}}, ("cat", "dog")[n % 2]) for n in (1, 2)]

    assert read_source(str(write_export(tmp_path / "export.json", tasks)), PLAIN).read(1) == "page 2"


def test_what_lies_deeper_in_a_tasks_data_is_found_by_its_path(tmp_path: Path) -> None:
    tasks = [exported_task(n, {"doc": {"pages": [{"text": f"page {n}"}]}}, ("cat", "dog")[n % 2]) for n in (1, 2)]
    path = str(write_export(tmp_path / "export.json", tasks))
    source = read_source(path, Columns("doc.pages[0].text"))

    assert [source.read(0), source.read(1)] == ["page 1", "page 2"]
    assert source.classes == ("cat", "dog")
    with pytest.raises(DataSetError, match=r"have no 'doc\.pages\[1\]\.text' in their data"):
        read_source(path, Columns("doc.pages[1].text"))


def test_images_whose_paths_lie_deeper_are_images(tmp_path: Path) -> None:
    image_folder(tmp_path, 1)
    tasks = [exported_task(n, {"shot": {"file": f"{kind}/0.png"}}, kind) for n, kind in enumerate(("cat", "dog"))]
    source = read_source(str(write_export(tmp_path / "export.json", tasks)), Columns("shot.file"))

    assert source.modality is Modality.IMAGE
    assert source.read(1) == tiny_image("dog", 0)


def test_an_export_of_images_finds_them_below_the_folder(tmp_path: Path) -> None:
    image_folder(tmp_path / "uploads", 1)
    tasks = [
        exported_task(1, {"image": "/data/upload/4/0a1b2c3d-0.png"}, "cat"),
        exported_task(2, {"image": "/data/local-files/?d=dog/0.png"}, "dog"),
        exported_task(3, {"image": "https://example.org/gone.png"}, "dog"),
    ]
    path = write_export(tmp_path / "export.json", tasks)
    (tmp_path / "uploads" / "0.png").write_bytes(tiny_image("cat", 0))
    source = read_source(str(path), Columns(images=tmp_path / "uploads"))

    assert source.modality is Modality.IMAGE
    assert [source.read(row) for row in range(3)] == [tiny_image("cat", 0), tiny_image("dog", 0), None]


def test_an_export_reads_nothing_beside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")

    for reference in ("../secret.png", f"{tmp_path}/secret.png", "/data/local-files/?d=../secret.png", "..", "", "/"):
        assert find_image(tmp_path / "inside", reference) is None


@pytest.mark.parametrize("reference", ["http://[host/cat.png", "data:image/png;base64," + "A" * 20_000, "cat\0.png"])
def test_a_reference_that_no_file_can_have_means_none(tmp_path: Path, reference: str) -> None:
    (tmp_path / "cat.png").write_bytes(b"")

    assert find_image(tmp_path, reference) is None


@pytest.mark.parametrize(
    ("tasks", "columns", "said"),
    [
        ([], PLAIN, "no export of Label Studio with tasks; choose the format JSON"),
        ([{"image": "a.png", "choice": "cat"}], PLAIN, "choose the format JSON"),
        ([exported_task(1, {"text": "a"})], PLAIN, "no annotation with choices"),
        ([exported_task(1, {"text": "a"}, "cat")], Columns(label="mood"), "no control 'mood' of choices.*it has kind"),
        (
            [exported_task(1, {"text": "a"}, "cat"), exported_task(2, {"text": "a"}, "dog", control="mood")],
            PLAIN,
            "several controls .kind, mood.; say which with --label-column",
        ),
        ([exported_task(1, {"a": "x", "b": "y"}, "cat")], PLAIN, "Say with --column which data .* a, b"),
        ([exported_task(1, {"a": "x", "b": "y"}, "cat")], Columns("c"), "have no 'c' in their data; there is a, b"),
        ([{"id": "x", "data": {"text": "a"}}], PLAIN, "cannot be read"),
        ([exported_task(1, {"text": "a"}, "cat")], PLAIN, "labels of only 'cat'"),
        ([exported_task(1, {"text": "a"}, "cat")] * 2, PLAIN, "holds task 1 2 times; give the export of one project"),
        (
            [exported_task(1, {"image": "a.png"}, "cat", part=PART)],
            PLAIN,
            r"whole tasks one class each.*it has kind .choices.",
        ),
        ([exported_task(1, {"doc": {"a": "x", "b": "y"}}, "cat")], PLAIN, r"Say with --column .* doc\.a, doc\.b"),
    ],
)
def test_what_an_export_lacks_is_told(
    tmp_path: Path, tasks: list[dict[str, object]], columns: Columns, said: str
) -> None:
    path = write_export(tmp_path / "export.json", tasks)
    with pytest.raises(DataSetError, match=said):
        read_source(str(path), columns)


def test_names_of_other_files_are_not_played_as_texts(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("file,label\nclips/cat_0.wav,cat\nclips/dog_1.WAV,dog\n")
    tasks = [exported_task(number, {"text": f"/data/upload/1/{number}-a.txt"}, "ab"[number]) for number in range(2)]
    write_export(tmp_path / "export.json", tasks)

    with pytest.raises(
        DataSetError, match=r"^clips\.csv refers to files that a simulation does not read, such as 'clips/cat_0\.wav'; "
    ):
        read_source(str(tmp_path / "clips.csv"), PLAIN)
    with pytest.raises(DataSetError, match=r"such as '/data/upload/1/0-a\.txt'; it plays texts and images \(\.bmp, "):
        read_source(str(tmp_path / "export.json"), PLAIN)


def test_an_export_that_is_no_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text("{")
    with pytest.raises(DataSetError, match=r"export\.json is not JSON"):
        read_source(str(tmp_path / "export.json"), PLAIN)


def test_a_source_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="There is no 'nowhere'; name digits, a folder"):
        read_source("nowhere", PLAIN)
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(DataSetError, match=r"model\.bin is neither a folder nor one of \.csv"):
        read_source(str(tmp_path / "model.bin"), PLAIN)
    with pytest.raises(DataSetError, match="holds no class folders with images"):
        read_source(str(tmp_path), PLAIN)
    image_folder(tmp_path, 2, labels=("cat",))
    with pytest.raises(DataSetError, match="labels of only 'cat'"):
        read_source(str(tmp_path), PLAIN)


def test_a_source_that_the_disk_refuses_is_told() -> None:
    with pytest.raises(DataSetError, match=r"^a+\.csv cannot be read: File name too long\.$"):
        read_source("a" * 300 + ".csv", PLAIN)


def test_a_test_set_of_its_own_is_added(tmp_path: Path) -> None:
    data = read_source(str(image_folder(tmp_path / "data", 2)), PLAIN)
    test = read_source(str(image_folder(tmp_path / "test", 1)), PLAIN)
    both = with_test(data, test)

    assert both.ids[4:] == ["test/cat/0.png", "test/dog/0.png"]
    assert both.test == [False] * 4 + [True] * 2
    assert both.read(5) == tiny_image("dog", 0)
    with pytest.raises(DataSetError, match="holds a test set already"):
        with_test(both, test)
    (tmp_path / "texts.csv").write_text("text,label\na,cat\nb,dog\n")
    with pytest.raises(DataSetError, match=r"data holds images and texts\.csv holds texts"):
        with_test(data, read_source(str(tmp_path / "texts.csv"), PLAIN))


def test_json_in_another_encoding_is_read(tmp_path: Path) -> None:
    tasks = [exported_task(1, {"text": "été"}, "cat"), exported_task(2, {"text": "hiver"}, "dog")]
    (tmp_path / "export.json").write_bytes(json.dumps(tasks, ensure_ascii=False).encode("utf-16"))

    assert read_source(str(tmp_path / "export.json"), PLAIN).read(0) == "été"

"""A CSV or TSV file: a text or an image's path, and a label."""

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from labelloop.cli.simulating.source import Columns, Source, bytes_of, modality_of, words_of
from labelloop.errors import DataSetError
from labelloop.learning.texts import decode_text
from labelloop.records import Modality

LABELS = ("label", "class", "category", "target", "intent", "choice", "sentiment", "y")
IMAGES = ("image", "path", "file", "filename", "image_path", "filepath")
TEXTS = ("text", "sentence", "message", "content", "review", "question", "title", "comment")
"""Usual names of columns, in the order they are looked for."""


SHOWN = 30
"""How many columns, and how many letters of each, are told of a table that lacks one; it may have no header at all."""


def read(where: str, columns: Columns) -> Source:
    """Read a table with a header; the delimiter and the encoding are found.

    Rows that are cut short, and those that a quote runs through which is not closed where it should be, are left out.

    Raises:
        DataSetError: a column is missing, or there is no row.
    """
    path = Path(where).expanduser()
    header, rows, notes = _rows(path)
    label = _column(path, header, columns.label, LABELS, "--label-column", "labels")
    content = _column(path, header, columns.content, (*TEXTS, *IMAGES), "--column", "texts or paths of images")
    whole = {number: row for number, row in rows.items() if len(row) > max(label, content)}
    if not whole:
        raise DataSetError(" ".join((f"{path.name} has a header and no row below it that can be used.", *notes)))
    labels = [row[label].strip() for row in whole.values()]
    contents = [row[content] for row in whole.values()]
    short = len(rows) - len(whole)
    rows_are = "1 row is" if short == 1 else f"{short:,} rows are"
    notes += (f"{rows_are} cut short and left out.",) if short else ()
    ids = [f"row {number}" for number in whole]
    if modality_of(path.name, contents, [_suffix(text) for text in contents]) is Modality.IMAGE:
        folder = columns.images or path.parent
        return Source(
            path.name, Modality.IMAGE, ids, labels, lambda row: bytes_of(folder / contents[row].strip()), notes=notes
        )
    return Source(path.name, Modality.TEXT, ids, labels, lambda row: words_of(contents[row]), notes=notes)


def _rows(path: Path) -> tuple[list[str], dict[int, list[str]], tuple[str, ...]]:
    """The header, the rows below it by their number, and what was left out of them."""
    # Any line end will do, an old Mac's too.
    lines = io.StringIO(decode_text(path.read_bytes()).lstrip("\r\n"), newline=None).readlines()
    if not lines:
        raise DataSetError(f"{path.name} is empty.")
    delimiter = _delimiter(path, lines[0])
    try:
        read, torn = _parsed(lines, delimiter)
    except csv.Error as error:
        raise DataSetError(f"{path.name} cannot be read as a table: {error}.") from None
    if torn and torn[0].start == 0:
        raise DataSetError(f"The header of {path.name} cannot be read: a quote in it is not closed.")
    header = [name.strip() for name in read.pop(0)]
    return header, read, (_told(torn),) if torn else ()


def _parsed(lines: Sequence[str], delimiter: str) -> tuple[dict[int, list[str]], list[range]]:
    """Rows by their number, and where the lines lie that a quote has swallowed because it is not closed in its place.

    Those lines count as a row each, so that a row's number is the one that people find it under.
    """
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(lines, delimiter=delimiter)
    read: dict[int, list[str]] = {}
    torn, start, number = [], 0, 0
    for row in reader:
        place, start = range(start, reader.line_num), reader.line_num
        if len(place) > 1 and not _well_quoted(lines[place.start : place.stop], delimiter):
            torn.append(place)
            number += len(place)
        elif row:
            read[number] = row
            number += 1
    return read, torn


def _well_quoted(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the quotes of a row of several lines pair up."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True


def _told(torn: Sequence[range]) -> str:
    count, first = sum(map(len, torn)), torn[0].start + 1
    quotes = (
        f"{len(torn):,} quotes, the first in line {first:,}, are" if len(torn) > 1 else f"a quote in line {first:,} is"
    )
    return (
        f"{count:,} lines are left out, because {quotes} not closed before the end of the line; "
        "close each quote, and double those that belong to a text."
    )


def _delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(",;\t|", key=header.count)


def _column(path: Path, header: Sequence[str], named: str, usual: Sequence[str], option: str, what: str) -> int:
    there = f"it has {', '.join(repr(name[:SHOWN]) for name in header[:SHOWN])}"
    if named:
        if named not in header:
            raise DataSetError(f"{path.name} has no column {named!r}; {there}.")
        return header.index(named)
    lowered = [name.lower() for name in header]
    found = next((lowered.index(name) for name in usual if name in lowered), None)
    if found is None:
        raise DataSetError(f"{path.name} has no column of {what} under a usual name; {there}. Say which with {option}.")
    return found


def _suffix(text: str) -> str:
    """That of the file, where the text is a path; a long one is none."""
    return Path(text.strip()).suffix.lower() if len(text) < 1024 else ""

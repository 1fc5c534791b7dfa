"""A labelled data set as it was found, whatever it was found in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labelloop.errors import DataSetError, MediaBroken
from labelloop.records import Modality

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
OTHER_SUFFIXES = frozenset(
    {".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aac", ".mp4", ".avi", ".mov", ".mkv", ".webm"}
    | {".pdf", ".dcm", ".nii", ".gz", ".zip", ".npy", ".txt", ".csv", ".json"}
)
"""Files whose names are no texts to learn from, and that are no images."""
DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class Columns:
    """Which parts of a table or an export are meant; empty: found by their names.

    Attributes:
        content: column, or key of the tasks' data, that holds the text or the image's path.
        label: column of the label, or name of the control in an export.
        images: folder that images are looked for in; None: where the file lies.
    """

    content: str = ""
    label: str = ""
    images: Path | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Labelled items.

    Attributes:
        name: what to call the data set.
        modality: what the items are.
        ids: a name for each, all different.
        labels: the label of each; empty where there is none.
        read: gives the content of an item by its number; None where its file is missing.
        test: whether each is of a test set that came with the data; None: none came.
        history: a value for each that ascends in the order people labelled them; None: not known.
        notes: what was left out in reading, a sentence each.
    """

    name: str
    modality: Modality
    ids: Sequence[str]
    labels: Sequence[str]
    read: Callable[[int], bytes | str | None]
    test: Sequence[bool] | None = None
    history: Sequence[str] | None = None
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Every label there is, sorted."""
        return tuple(sorted({label for label in self.labels if label}))


def read_source(where: str, columns: Columns) -> Source:
    """Read a labelled data set.

    Args:
        where: `digits`, a folder of class folders, a CSV or TSV file, or a JSON export of Label Studio.
        columns: which parts of it are meant.

    Raises:
        DataSetError: it cannot be read, or holds fewer than two classes.
    """
    try:
        source = _reader(where)(where, columns)
    except OSError as error:
        raise DataSetError(f"{where} cannot be read: {error.strerror}.") from None
    if len(source.classes) < 2:
        only = f"only {source.classes[0]!r}" if source.classes else "none"
        raise DataSetError(f"{source.name} has labels of {only}; a simulation needs two classes or more.")
    return source


def _reader(where: str) -> Callable[[str, Columns], Source]:
    from labelloop.cli.simulating import digits, export, folder, table

    path = Path(where).expanduser()
    if where == DIGITS:
        return digits.read
    if path.is_dir():
        return folder.read
    if not path.exists():
        raise DataSetError(f"There is no {where!r}; name {DIGITS}, a folder, a CSV file or a JSON export.")
    readers = {".csv": table.read, ".tsv": table.read, ".json": export.read}
    if path.suffix.lower() not in readers:
        raise DataSetError(f"{path.name} is neither a folder nor one of {', '.join(readers)}.")
    return readers[path.suffix.lower()]


def modality_of(name: str, values: Sequence[str], suffixes: Sequence[str]) -> Modality:
    """Whether most of the values that a file holds are paths of images, or texts.

    Raises:
        DataSetError: most are paths of files that a simulation does not play, and their names would be taken for texts.
    """
    if 2 * sum(suffix in IMAGE_SUFFIXES for suffix in suffixes) > len(values):
        return Modality.IMAGE
    others = [value for value, suffix in zip(values, suffixes, strict=True) if suffix in OTHER_SUFFIXES]
    if 2 * len(others) > len(values):
        raise DataSetError(
            f"{name} refers to files that a simulation does not read, such as {others[0]!r}; it plays texts and images "
            f"({', '.join(sorted(IMAGE_SUFFIXES))})."
        )
    return Modality.TEXT


def words_of(value: object) -> str:
    """A text as the service reads it from a task; nothing where it is none."""
    from labelloop.labelstudio import text_of
    from labelloop.settings import get_settings

    try:
        return text_of(value, get_settings().text_max_chars)
    except MediaBroken:
        return ""


def bytes_of(path: Path | None) -> bytes | None:
    """What is in a file; None where it cannot be read."""
    try:
        return None if path is None else path.read_bytes()
    except (OSError, ValueError):  # a name that no file can have is a ValueError
        return None


def with_test(source: Source, test: Source) -> Source:
    """A data set together with a test set of its own.

    Raises:
        DataSetError: the two are not of the same kind, or the data set has brought a test set already.
    """
    if source.modality is not test.modality:
        raise DataSetError(f"{source.name} holds {source.modality}s and {test.name} holds {test.modality}s.")
    if source.test is not None:
        raise DataSetError(f"{source.name} holds a test set already; leave --test out.")
    count = len(source.ids)
    return replace(
        source,
        ids=[*source.ids, *(f"test/{name}" for name in test.ids)],
        labels=[*source.labels, *test.labels],
        read=lambda row: source.read(row) if row < count else test.read(row - count),
        test=[False] * count + [True] * len(test.ids),
        history=None if source.history is None else [*source.history, *[""] * len(test.ids)],
        notes=source.notes + test.notes,
    )

"""A folder with a folder of images for each class."""

import os
from collections.abc import Iterator
from pathlib import Path

from labelloop.cli.simulating.source import IMAGE_SUFFIXES, Columns, Source, bytes_of
from labelloop.errors import DataSetError
from labelloop.records import Modality

TEST = frozenset({"test", "testing"})
PARTS = TEST | {"train", "training", "val", "valid", "validation"}
"""Folders that hold a part of the data each, with class folders of its own."""


def read(where: str, columns: Columns) -> Source:
    """Read `cat/1.jpg`, `dog/2.jpg`, …; or the same below `train` and `test`, which then is the test set.

    Raises:
        DataSetError: there are no class folders, or no images in them.
    """
    root = Path(where).expanduser()
    found = list(_found(root))
    if not found:
        raise DataSetError(
            f"{root} holds no class folders with images ({', '.join(sorted(IMAGE_SUFFIXES))}); "
            "it should look like cat/1.jpg, dog/2.jpg."
        )
    files = [file for file, _, _ in found]
    test = [tested for _, _, tested in found]
    return Source(
        root.resolve().name,
        Modality.IMAGE,
        [_readable(file.relative_to(root).as_posix()) for file in files],
        [_readable(label) for _, label, _ in found],
        lambda row: bytes_of(files[row]),
        test if any(test) else None,
    )


def _readable(name: str) -> str:
    """The name of a file as text, where the disk has bytes in it that are no characters."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _found(root: Path) -> Iterator[tuple[Path, str, bool]]:
    """Every image in a class folder, its class, and whether it is of the test set."""
    folders = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and not _hidden(folder)]
    # One without images, such as `annotations` beside `train` and `test`, is no class.
    images = {folder: found for folder in folders if (found := _images(folder))}
    if images and all(_part(folder) in PARTS for folder in images):
        for part in images:
            yield from ((file, label, _part(part) in TEST) for file, label, _ in _found(part))
        return
    for folder, files in images.items():
        yield from ((file, folder.name, False) for file in files)


def _images(folder: Path) -> list[Path]:
    """Every image below a folder, sorted."""
    return [
        file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in IMAGE_SUFFIXES and not any(map(_hidden, (file, *file.relative_to(folder).parents)))
    ]


def _part(folder: Path) -> str:
    """The name of a part of the data, which may be called `training_set` or `testset`, too."""
    return folder.name.lower().removesuffix("set").removesuffix("_")


def _hidden(path: Path) -> bool:
    """Whether programs left it beside the data: `.ipynb_checkpoints`, and `._1.jpg` and `__MACOSX` of a Mac's archives."""
    return path.name.startswith(".") or path.name == "__MACOSX"

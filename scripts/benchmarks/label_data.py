"""The labelled data sets that `label_efficiency` buys labels of, as frozen features with a fixed test split."""

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelloop.learning import BackboneSpec, load_backbone, resolve_backbone
from labelloop.records import Modality

DATA = Path("../shared/data")
CACHE = Path(".run/label_efficiency")
# This network was trained on images whose pixels lie in [-1, 1].
MOBILENET_SAYS = {"model": "mobilenet_v2", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "size": 256, "crop": 224}


@dataclass(frozen=True, slots=True)
class DataSet:
    """Labelled items.

    Attributes:
        name: what the table calls it.
        features: float32 [n, d] of the pool, as the backbone gave them.
        labels: int [n], 0..C-1.
        test_features: float32 [m, d].
        test_labels: int [m].
        budgets: numbers of labels at which the test accuracy is measured, ascending.
    """

    name: str
    features: NDArray[Any]
    labels: NDArray[Any]
    test_features: NDArray[Any]
    test_labels: NDArray[Any]
    budgets: tuple[int, ...]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.labels.max()) + 1


class Missing(Exception):
    """A data set is not on this machine; the message says where it was looked for."""


def _split(
    name: str, features: NDArray[Any], names: Sequence[str], test_share: float, budgets: tuple[int, ...]
) -> DataSet:
    from sklearn.model_selection import train_test_split

    labels = np.unique(np.asarray(names), return_inverse=True)[1]
    pool, test = train_test_split(np.arange(len(labels)), test_size=test_share, random_state=0, stratify=labels)
    return DataSet(name, features[pool], labels[pool], features[test], labels[test], budgets)


def digits() -> DataSet:
    """scikit-learn's digits: 1,797 images of 8 x 8 pixels, ten classes."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return _split("digits", pixels.astype(np.float32), labels, 0.4, (10, 20, 50, 100, 200))


def trashnet5() -> DataSet:
    """Photographs of waste, five classes of 150."""
    files = sorted(_found(DATA / "images" / "trashnet5").glob("*/*.jpg"))
    features = _cached("trashnet5", lambda: _images([file.read_bytes() for file in files]))
    return _split("trashnet5", features, [file.parent.name for file in files], 1 / 3, (10, 20, 40, 80, 160, 320))


def sms_spam() -> DataSet:
    """Text messages, one in eight spam; exact duplicates are left out."""
    lines = _found(DATA / "text" / "sms_spam" / "sms.tsv").read_text(encoding="utf-8").splitlines()
    pairs = dict.fromkeys(tuple(line.split("\t", 1)) for line in lines if "\t" in line)
    features = _cached("sms_spam", lambda: _texts([text for _, text in pairs]))
    return _split("sms_spam", features, [label for label, _ in pairs], 0.3, (10, 20, 40, 80, 160))


def banking77() -> DataSet:
    """Questions to a bank, 77 intents, with the test split they come with."""
    return _banking("banking77", 77, (77, 154, 308, 616, 1232))


def banking10() -> DataSet:
    """The first ten intents by name of `banking77`."""
    return _banking("banking10", 10, (10, 20, 40, 80, 160))


def digits_few() -> DataSet:
    """The digits at the two budgets where rows without a label matter most."""
    return replace(digits(), name="digits_few", budgets=(20, 40))


DATA_SETS: dict[str, Callable[[], DataSet]] = {
    "digits": digits,
    "digits_few": digits_few,
    "trashnet5": trashnet5,
    "banking10": banking10,
    "sms_spam": sms_spam,
    "banking77": banking77,
}


def _banking(name: str, intents: int, budgets: tuple[int, ...]) -> DataSet:
    def part(which: str) -> tuple[NDArray[Any], NDArray[Any]]:
        questions = banking_questions(which)
        features = _cached(f"banking77-{which}", lambda: _texts([text for text, _ in questions]))
        names, labels = np.unique([intent for _, intent in questions], return_inverse=True)
        kept = labels < min(intents, len(names))
        return features[kept], labels[kept]

    return DataSet(name, *part("train"), *part("test"), budgets)


def banking_questions(which: str) -> list[tuple[str, str]]:
    """The questions of `banking77`'s part `train` or `test`, each with its intent."""
    folder = _found(DATA / "text" / "banking77" / "banking_data")
    with (folder / f"{which}.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def _found(path: Path) -> Path:
    if not path.exists():
        raise Missing(f"{path} is not there")
    return path


def _cached(name: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    file = CACHE / f"{name}.npy"
    if not file.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        features = compute()
        np.save(file, features)
    stored: NDArray[Any] = np.load(file)
    return stored


def _texts(texts: list[str]) -> NDArray[Any]:
    return _embedded(BackboneSpec(Modality.TEXT, "all-MiniLM-L6-v2", device="cpu", offline=True), texts)


def _images(images: list[bytes]) -> NDArray[Any]:
    return _embedded(BackboneSpec(Modality.IMAGE, "mobilenet_v2", str(mobilenet()), "cpu", offline=True), images)


def mobilenet() -> Path:
    """The weights of the image backbone, beside a file that says what they were trained on."""
    weights = CACHE / "mobilenet_v2.safetensors"
    CACHE.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_found(DATA / "weights" / weights.name), weights)
    weights.with_name(weights.name + ".json").write_text(json.dumps(MOBILENET_SAYS), encoding="utf-8")
    return weights


def _embedded(spec: BackboneSpec, items: list[Any]) -> NDArray[Any]:
    features: NDArray[Any] = load_backbone(spec, resolve_backbone(spec)).embed(items)
    return features

"""Detectors: what is known of one beside its weights, and where it comes from.

A detector is one of torchvision's by name, with its own weights and classes; or a folder with `weights.safetensors`, a state dict of
the network, and `config.json`:

    {"architecture": "fcos_mobilenet_v2", "classes": ["cell", "platelet"], "side": 320, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}

The architecture is one of torchvision's detectors, or a light one: `fcos`, `retinanet` or `fasterrcnn` on one of its classifiers.
Images are squashed to a square of `side` pixels; where that is 0, the architecture resizes them itself. `mean` and `std` apply to
RGB in [0, 1].
"""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning.backbones.base import BackboneSpec, ResolvedBackbone
from labelloop.learning.backbones.fetching import is_offline
from labelloop.learning.backbones.local_weights import read_state, write_state
from labelloop.learning.backbones.sentence_texts import folder_digest, safe_name
from labelloop.learning.backbones.torchvision_models import MEAN, STD, classifiers, fetch_usual, usual_weights

WEIGHTS: Final = "weights.safetensors"
CONFIG: Final = "config.json"
LIGHT: Final = ("fcos", "retinanet", "fasterrcnn")
"""Families that are built on any classifier with a small pyramid of features."""
SIDE: Final = 320
# Those of torchvision that find boxes and need nothing else to learn from.
_FAMILIES: Final = (*LIGHT, "ssd")
# Counted up when what is found by the same weights changes.
_REVISION: Final = 1


@dataclass(frozen=True, slots=True)
class Design:
    """What is known of a detector beside its weights.

    Attributes:
        architecture: one of torchvision's detectors, or a light one.
        classes: the names of what it finds, in the order of its outputs, the background not among them.
        side: pixels of the square that images are squashed to; 0: the architecture resizes them itself.
        mean: taken off RGB in [0, 1]; of a light one.
        std: what is left is divided by.
        note: what a person should know of it, one sentence; may be empty.
    """

    architecture: str
    classes: tuple[str, ...]
    side: int = 0
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    note: str = ""

    @property
    def light(self) -> tuple[str, str] | None:
        """The family and the classifier of a light one; None for one of torchvision's."""
        family, _, classifier = self.architecture.partition("_")
        return (family, classifier) if family in LIGHT and classifier in classifiers() else None


def resolve_detector(spec: BackboneSpec) -> ResolvedBackbone:
    """Find a detector, downloading the weights of one of torchvision's if they are not here and may be.

    Raises:
        LearningError: torchvision is not installed, there is no such detector, or what lies in the folder is none.
        WeightsNotFound: the weights are neither here nor to be had, or none is named.
    """
    design, folder = design_of(spec)
    if folder is None:
        fetch_usual(design.architecture, offline=is_offline(spec.offline))
        said = json.dumps([str(usual_weights(design.architecture).url), _REVISION])
        identity = f"detector-{design.architecture}-{sha256(said.encode()).hexdigest()[:12]}"
    else:
        identity = f"detector-{safe_name(folder.name)}-{folder_digest(folder)}-{_REVISION}"
    return ResolvedBackbone(design.architecture, identity, _width(design.architecture), design.note)


def design_of(spec: BackboneSpec) -> tuple[Design, Path | None]:
    """The detector that a spec names, and its folder; None for one of torchvision's.

    Raises:
        LearningError: torchvision is not installed, there is no such detector, or what lies in the folder is none.
        WeightsNotFound: none is named.
    """
    if spec.name == "auto":
        raise WeightsNotFound(
            "No one detector finds everything; name one of torchvision's, such as ssdlite320_mobilenet_v3_large, or give a folder's path."
        )
    if find_spec("torchvision") is None:
        raise LearningError(f"The detector {spec.name!r} needs torchvision; install labelloop[image].")
    if (folder := Path(spec.name).expanduser()).is_dir():
        return read_design(folder), folder
    if spec.name not in stock():
        raise LearningError(
            f"There is no detector {spec.name!r}; there are folders of ours, and torchvision's {', '.join(stock())}."
        )
    names = usual_weights(spec.name).meta["categories"]
    return Design(spec.name, tuple(names[1:])), None


def checked_architecture(name: str) -> str:
    """The name of an architecture that can be trained.

    Raises:
        LearningError: there is none of that name.
    """
    if name not in stock() and Design(name, ()).light is None:
        raise LearningError(
            f"There is no detector {name!r}; there are {', '.join(stock())}, and {', '.join(LIGHT)} on any of torchvision's "
            "classifiers, such as fcos_mobilenet_v2."
        )
    return name


@lru_cache(maxsize=1)
def stock() -> tuple[str, ...]:
    """The names of torchvision's detectors of boxes."""
    from torchvision.models import detection, list_models

    return tuple(name for name in list_models(module=detection) if name.startswith(_FAMILIES))


def read_design(folder: Path) -> Design:
    """What lies in a folder.

    Raises:
        LearningError: it is no detector.
    """
    try:
        said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        known: dict[str, Any] = {name: said[name] for name in Design.__dataclass_fields__ if name in said}
        known |= {name: tuple(known[name]) for name in ("classes", "mean", "std") if name in known}
        design = Design(**known)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearningError(f"{folder} is not a detector ({type(error).__name__}: {error}).") from None
    checked_architecture(design.architecture)
    if not design.classes or not all(isinstance(name, str) for name in design.classes) or design.side < 0:
        raise LearningError(f"{folder / CONFIG} is wrong: it needs the names of `classes`, and a `side` of pixels.")
    return design


def save_detector(network: Any, design: Design, folder: Path) -> None:
    """Write a detector into a folder."""
    write_state(network, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(asdict(design)), encoding="utf-8")


def load_detector(design: Design, folder: Path | None) -> Any:
    """The network of a detector, ready to find.

    Raises:
        LearningError: the weights do not fit.
        WeightsNotFound: torchvision's weights are not here.
    """
    from labelloop.learning.backbones.detector_networks import build_detector, build_stock

    if folder is None:
        fetch_usual(design.architecture, offline=True)
        return build_stock(design.architecture)
    network = build_detector(design)
    try:
        missing, surplus = network.load_state_dict(read_state(folder / WEIGHTS), strict=False)
    except RuntimeError as error:
        raise LearningError(
            f"{folder} does not fit {design.architecture}: {str(error).splitlines()[1].strip()}"
        ) from None
    lacking = [name for name in missing if not name.endswith("num_batches_tracked")]
    if lacking or surplus:
        raise LearningError(
            f"{folder} does not fit {design.architecture}: {(lacking or surplus)[0]!r} is out of place."
        )
    return network


@lru_cache(maxsize=16)
def _width(architecture: str) -> int:
    from labelloop.learning.backbones.detector_networks import width_of

    return width_of(Design(architecture, ("anything",), SIDE))

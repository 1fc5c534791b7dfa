"""The detector that a fine-tuning starts from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from labelloop.errors import WeightsNotFound
from labelloop.learning.backbones import BackboneSpec, Parts, ResolvedBackbone
from labelloop.learning.backbones.detector_networks import build_detector, freeze_first
from labelloop.learning.backbones.detectors import (
    SIDE,
    Design,
    checked_architecture,
    design_of,
    load_detector,
    resolve_detector,
)
from labelloop.learning.backbones.torchvision_models import build, find_source, resolve_torchvision

logger = logging.getLogger(__name__)

# On which a light detector is built where the quick learner's backbone is no network.
CLASSIFIER: Final = "mobilenet_v2"
# Anchor-free, it finds objects of any size and shape, and has the least to learn of what torchvision offers.
FAMILY: Final = "fcos"


@dataclass(frozen=True, slots=True)
class Start:
    """A detector before it is trained.

    Attributes:
        design: what is known of it, of the classes to learn.
        network: it.
        folder: of the tuned detector it comes from; None: it comes from none.
    """

    design: Design
    network: Any
    folder: Path | None = None


def start_detector(spec: BackboneSpec, quick: ResolvedBackbone, classes: Sequence[str], name: str) -> Start:
    """A detector of those classes with the best weights that can be had.

    Args:
        spec: the quick learner's backbone; may be a detector itself.
        quick: what was found for it.
        classes: what is to be found.
        name: `auto` (that detector, or a light one on that backbone), an architecture, or a detector's folder.

    Raises:
        LearningError: there is no such detector.
    """
    if name == "auto" and spec.parts is Parts.OUTPUT and quick.name != "plain":
        return _from_detector(spec, classes)
    if Path(name).expanduser().is_dir():
        return _from_detector(replace(spec, name=name, weights="", parts=Parts.OUTPUT), classes)
    known = quick.name.removesuffix(", fine-tuned") if quick.name != "plain" else CLASSIFIER
    architecture = checked_architecture(f"{FAMILY}_{known}" if name == "auto" else name)
    design = Design(architecture, tuple(classes), SIDE)
    if (light := design.light) is None:
        return _from_detector(replace(spec, name=architecture, weights="", parts=Parts.OUTPUT), classes)
    classifier = light[1]
    own = spec if classifier == known and quick.name != "plain" else replace(spec, name=classifier, weights="")
    try:
        resolve_torchvision(own)
        network, transform = build(find_source(own))
    except WeightsNotFound as error:
        return _from_nothing(design, error)
    design = replace(design, mean=tuple(transform.mean), std=tuple(transform.std))
    return _learnt(Start(design, build_detector(design, network)))


def _from_detector(spec: BackboneSpec, classes: Sequence[str]) -> Start:
    """A detector that has learnt other classes; what of it has the same shape is kept."""
    before, folder = design_of(spec)
    design = replace(before, classes=tuple(classes), note="")
    try:
        resolve_detector(spec)
        known = load_detector(before, folder).state_dict()
    except WeightsNotFound as error:
        return _from_nothing(design, error)
    network = build_detector(design)
    own = network.state_dict()
    network.load_state_dict(
        own | {key: one for key, one in known.items() if key in own and own[key].shape == one.shape}
    )
    return _learnt(Start(design, network, folder))


def _learnt(start: Start) -> Start:
    freeze_first(start.network)
    return start


def _from_nothing(design: Design, error: WeightsNotFound) -> Start:
    note = f"It has learnt from random weights. {error}"
    logger.warning("%s: %s", design.architecture, note)
    return Start(replace(design, note=note), build_detector(design))

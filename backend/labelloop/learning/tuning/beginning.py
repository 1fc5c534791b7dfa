"""The network that learns areas, as it is before it has learnt any: which, and from which weights it begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning.backbones import BackboneSpec
from labelloop.learning.backbones.fetching import is_offline
from labelloop.learning.backbones.segmented_maps import SEGMENTERS, UNET, Described, build_segmenter
from labelloop.learning.backbones.torchvision_models import MEAN, STD, build, fetch_usual, find_source
from labelloop.records import Modality

NETWORKS: Final = ("auto", UNET, *SEGMENTERS)


@dataclass(frozen=True, slots=True)
class _Encoder:
    """A classifier to begin from; without weights where they are not to be had, for the reason in `note`."""

    model: str
    state: Mapping[str, Any] | None = None
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    note: str = ""


def begin(spec: BackboneSpec, network: str, classes: Sequence[str], side: int) -> tuple[Any, Described]:
    """A segmenter with the best weights at hand: torchvision's own, those of its encoder, or random ones, with a note.

    Args:
        spec: the quick backbone; a U-Net looks with it.
        network: one of `NETWORKS`; `auto` is a U-Net.
        classes: whose areas it is to tell.
        side: pixels a side of the square that it is to look at.

    Raises:
        LearningError: there is no such network, or the weights that the spec points to do not fit.
    """
    if network not in NETWORKS:
        raise LearningError(f"There is no network for areas {network!r}; there are {', '.join(NETWORKS)}.")
    name = UNET if network == "auto" else network
    if name != UNET and _can_be_had(name, spec):
        return _known(name, classes, side)
    encoder = _encoder(spec, SEGMENTERS.get(name, ""))
    grouped = "all" if encoder.state is None else "decoder"
    described = Described(name, encoder.model, grouped, tuple(classes), side, encoder.mean, encoder.std, encoder.note)
    segmenter = build_segmenter(described)
    if encoder.state is not None:
        from labelloop.learning.backbones.segmenters import load_encoder

        load_encoder(segmenter, encoder.state)
    return segmenter, described


def _known(name: str, classes: Sequence[str], side: int) -> tuple[Any, Described]:
    """A segmenter with torchvision's weights of it, but for the step that tells the classes."""
    from torchvision.models import get_model_weights

    from labelloop.learning.backbones.segmenters import Known

    weights = get_model_weights(name).DEFAULT
    return Known(name, len(classes), weights), Described(name, SEGMENTERS[name], "", tuple(classes), side, MEAN, STD)


def _can_be_had(name: str, spec: BackboneSpec) -> bool:
    try:
        fetch_usual(name, offline=is_offline(spec.offline))
    except WeightsNotFound:
        return False
    return True


def _encoder(spec: BackboneSpec, wanted: str) -> _Encoder:
    """The classifier that torchvision's segmenter wants, of the quick backbone's weights where it is the same, else its own.

    A U-Net wants none in particular, so it takes the quick backbone, or a small one of its own where that has no weights: of
    random weights that learns faster than a deep classifier does.
    """
    other = BackboneSpec(Modality.IMAGE, wanted, device=spec.device, offline=spec.offline)
    if wanted and spec.name == "plain":
        spec = other
    if spec.name == "plain":
        return _Encoder("plain", note="It began at random weights, as the quick backbone is plain.")
    source = find_source(spec)
    if wanted and source.model != wanted:
        source = find_source(other)
    try:
        if source.local is None:
            fetch_usual(source.model, offline=is_offline(spec.offline))
        network, transform = build(source)
    except WeightsNotFound as error:
        return _Encoder(wanted or "plain", note=f"It began at random weights. {error}")
    return _Encoder(source.model, network.state_dict(), tuple(transform.mean), tuple(transform.std))

"""From a spec to a backbone: found first, loaded where it is needed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from labelloop.errors import LearningError
from labelloop.learning.backbones.base import Backbone, BackboneSpec, Parts, ResolvedBackbone
from labelloop.learning.backbones.detected_images import PLAIN_DETECTIONS, DetectedImages, PlainDetections
from labelloop.learning.backbones.detectors import resolve_detector
from labelloop.learning.backbones.joined import JOINT, JoinedBackbone, join
from labelloop.learning.backbones.plain_images import PLAIN_IMAGES, PlainImages
from labelloop.learning.backbones.plain_maps import PLAIN_MAPS, PlainMaps
from labelloop.learning.backbones.plain_texts import PLAIN_TEXTS, PlainTexts
from labelloop.learning.backbones.plain_tokens import PLAIN_TOKENS, PlainTokens
from labelloop.learning.backbones.segmented_maps import load_image_maps, resolve_image_maps
from labelloop.learning.backbones.sentence_texts import SentenceTexts, resolve_sentence
from labelloop.learning.backbones.token_texts import TokenTexts, resolve_tokens
from labelloop.learning.backbones.torchvision_images import TorchvisionImages
from labelloop.learning.backbones.torchvision_models import resolve_torchvision
from labelloop.learning.backbones.written_texts import PLAIN_OUTPUTS, PlainOutputs, WrittenTexts, resolve_writer
from labelloop.records import Modality


@dataclass(frozen=True, slots=True)
class _Family:
    """The backbones that read one modality and give features of certain parts."""

    plain: ResolvedBackbone
    load_plain: Callable[[], Backbone]
    resolve: Callable[[BackboneSpec], ResolvedBackbone]
    load: Callable[[BackboneSpec, ResolvedBackbone], Backbone]


_FAMILIES: Final = {
    (Modality.IMAGE, Parts.NONE): _Family(PLAIN_IMAGES, PlainImages, resolve_torchvision, TorchvisionImages),
    (Modality.IMAGE, Parts.OUTPUT): _Family(PLAIN_DETECTIONS, PlainDetections, resolve_detector, DetectedImages),
    (Modality.IMAGE, Parts.MAP): _Family(PLAIN_MAPS, PlainMaps, resolve_image_maps, load_image_maps),
    (Modality.TEXT, Parts.NONE): _Family(PLAIN_TEXTS, PlainTexts, resolve_sentence, SentenceTexts),
    (Modality.TEXT, Parts.OUTPUT): _Family(PLAIN_OUTPUTS, PlainOutputs, resolve_writer, WrittenTexts),
    (Modality.TEXT, Parts.TOKENS): _Family(PLAIN_TOKENS, PlainTokens, resolve_tokens, TokenTexts),
}


def resolve_backbone(spec: BackboneSpec) -> ResolvedBackbone:
    """Find what a spec asks for; `auto` falls back to `plain`, with a note, where nothing better can be had.

    `plain` costs nothing. An image backbone imports torch; either may try a download, which gives up within seconds where
    there is no network.

    Raises:
        LearningError: there is no backbone of that name, its library is not installed, or local weights are wrong.
        WeightsNotFound: the weights of a backbone asked for by name are neither here nor to be had.
    """
    if apart := _apart(spec):
        return join([resolve_backbone(one) for one in apart])
    family = _family(spec)
    if spec.name == "plain":
        return family.plain
    try:
        return family.resolve(spec)
    except LearningError as error:
        # Weights that a person points to are wanted, so being unable to use them is not passed over.
        if spec.name != "auto" or spec.weights:
            raise
        return replace(family.plain, note=f"Plain features are used. {error}")


def load_backbone(spec: BackboneSpec, resolved: ResolvedBackbone) -> Backbone:
    """Load what was found, here or on another machine, on the device that the spec asks for.

    Raises:
        LearningError: what the spec means here is not what was found, or the device does not exist.
        WeightsNotFound: its weights are neither here nor to be had.
    """
    if apart := _apart(spec):
        return _load_joined(apart, resolved)
    family = _family(spec)
    if resolved.id == family.plain.id:
        return family.load_plain()
    here = family.resolve(spec)
    if here.id != resolved.id:
        raise LearningError(
            f"The backbone {spec.name!r} is {here.id} on this machine, but the features at hand are of {resolved.id}; "
            "use the same weights everywhere."
        )
    return family.load(spec, resolved)


def _apart(spec: BackboneSpec) -> list[BackboneSpec]:
    """The backbones that a spec joins; empty where it names one.

    Raises:
        LearningError: they cannot be joined.
    """
    names = spec.name.split(JOINT)
    # A path may hold the sign; there is no model at a part of it.
    if len(names) < 2 or Path(spec.name).exists():
        return []
    if spec.weights or spec.parts is not Parts.NONE:
        what = "one file of weights" if spec.weights else f"features of an {spec.modality}'s {spec.parts}"
        raise LearningError(f"The backbones {spec.name!r} cannot be joined with {what}; name one of them.")
    return [replace(spec, name=name.strip()) for name in names]


def _load_joined(apart: list[BackboneSpec], resolved: ResolvedBackbone) -> Backbone:
    found = [resolve_backbone(one) for one in apart]
    if join(found).id != resolved.id:
        raise LearningError(
            f"The backbones {resolved.name!r} are not the same on this machine as those the features at hand are of; "
            "use the same weights everywhere."
        )
    return JoinedBackbone(resolved, [load_backbone(one, known) for one, known in zip(apart, found, strict=True)])


def _family(spec: BackboneSpec) -> _Family:
    try:
        return _FAMILIES[spec.modality, spec.parts]
    except KeyError:
        raise LearningError(f"No backbone gives features of an {spec.modality}'s {spec.parts}.") from None

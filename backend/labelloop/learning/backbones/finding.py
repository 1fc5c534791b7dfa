"""From a spec to a backbone: found first, loaded where it is needed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from labelloop.errors import LearningError
from labelloop.learning.backbones.base import Backbone, BackboneSpec, ResolvedBackbone
from labelloop.learning.backbones.plain_images import PLAIN_IMAGES, PlainImages
from labelloop.learning.backbones.plain_texts import PLAIN_TEXTS, PlainTexts
from labelloop.learning.backbones.sentence_texts import SentenceTexts, resolve_sentence
from labelloop.learning.backbones.torchvision_images import TorchvisionImages
from labelloop.learning.backbones.torchvision_models import resolve_torchvision
from labelloop.records import Modality

_PLAIN: Final = {Modality.IMAGE: PLAIN_IMAGES, Modality.TEXT: PLAIN_TEXTS}
_LOAD_PLAIN: Final[dict[Modality, Callable[[], Backbone]]] = {Modality.IMAGE: PlainImages, Modality.TEXT: PlainTexts}
_RESOLVE: Final = {Modality.IMAGE: resolve_torchvision, Modality.TEXT: resolve_sentence}
_LOAD: Final[dict[Modality, Callable[[BackboneSpec, ResolvedBackbone], Backbone]]] = {
    Modality.IMAGE: TorchvisionImages,
    Modality.TEXT: SentenceTexts,
}


def resolve_backbone(spec: BackboneSpec) -> ResolvedBackbone:
    """Find what a spec asks for; `auto` falls back to `plain`, with a note, where nothing better can be had.

    `plain` costs nothing. An image backbone imports torch; either may try a download, which gives up within seconds where
    there is no network.

    Raises:
        LearningError: there is no backbone of that name, its library is not installed, or local weights are wrong.
        WeightsNotFound: the weights of a backbone asked for by name are neither here nor to be had.
    """
    plain = _PLAIN[spec.modality]
    if spec.name == "plain":
        return plain
    try:
        return _RESOLVE[spec.modality](spec)
    except LearningError as error:
        # Weights that a person points to are wanted, so being unable to use them is not passed over.
        if spec.name != "auto" or spec.weights:
            raise
        return replace(plain, note=f"Plain features are used. {error}")


def load_backbone(spec: BackboneSpec, resolved: ResolvedBackbone) -> Backbone:
    """Load what was found, here or on another machine, on the device that the spec asks for.

    Raises:
        LearningError: what the spec means here is not what was found, or the device does not exist.
        WeightsNotFound: its weights are neither here nor to be had.
    """
    if resolved.id == _PLAIN[spec.modality].id:
        return _LOAD_PLAIN[spec.modality]()
    here = _RESOLVE[spec.modality](spec)
    if here.id != resolved.id:
        raise LearningError(
            f"The backbone {spec.name!r} is {here.id} on this machine, but the features at hand are of {resolved.id}; "
            "use the same weights everywhere."
        )
    return _LOAD[spec.modality](spec, resolved)

"""From a spec to a backbone: found first, loaded where it is needed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from labelloop.errors import LearningError
from labelloop.learning.backbones.base import Backbone, BackboneSpec, Parts, ResolvedBackbone
from labelloop.learning.backbones.plain_images import PLAIN_IMAGES, PlainImages
from labelloop.learning.backbones.plain_texts import PLAIN_TEXTS, PlainTexts
from labelloop.learning.backbones.plain_tokens import PLAIN_TOKENS, PlainTokens
from labelloop.learning.backbones.sentence_texts import SentenceTexts, resolve_sentence
from labelloop.learning.backbones.token_texts import TokenTexts, resolve_tokens
from labelloop.learning.backbones.torchvision_images import TorchvisionImages
from labelloop.learning.backbones.torchvision_models import resolve_torchvision
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
    (Modality.TEXT, Parts.NONE): _Family(PLAIN_TEXTS, PlainTexts, resolve_sentence, SentenceTexts),
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


def _family(spec: BackboneSpec) -> _Family:
    try:
        return _FAMILIES[spec.modality, spec.parts]
    except KeyError:
        raise LearningError(f"No backbone gives features of an {spec.modality}'s {spec.parts}.") from None

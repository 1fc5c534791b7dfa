"""torchvision's classifiers without their last step: which there are, and how to build one."""

import difflib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning.backbones.base import BackboneSpec, ResolvedBackbone
from labelloop.learning.backbones.fetching import is_offline, reachable, stalls_end
from labelloop.learning.backbones.local_weights import LocalWeights, find_local_weights, read_state

AUTO: Final = "mobilenet_v3_large"
# The names torchvision gives the part of a classifier that comes after its features.
_HEADS: Final = ("fc", "classifier", "heads", "head")
# Second heads of GoogLeNet and Inception, for training alone.
UNUSED: Final = ("AuxLogits.", "aux1.", "aux2.")
# AlexNet and VGG flatten their feature map into more columns than are good for a head; their last hidden layer is used.
_WIDEST: Final = 4096
# Counted up when what is computed from the same weights changes.
_REVISION: Final = 1
# What ImageNet's colours in [0, 1] are centred at and divided by, where no weights say otherwise.
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a backbone's numbers come from.

    Attributes:
        model: the torchvision model.
        local: a file of one's own; None: the model's usual weights.
    """

    model: str
    local: LocalWeights | None


def find_source(spec: BackboneSpec) -> Source:
    """The model and weights a spec means.

    Raises:
        LearningError: torchvision is not installed, or has no model of that name.
        WeightsNotFound: there is no file at the path given.
    """
    local = find_local_weights(spec.weights) if spec.weights else None
    model = spec.name if spec.name != "auto" else (local.model if local and local.model else AUTO)
    if find_spec("torchvision") is None:
        raise LearningError(f"The backbone {model!r} needs torchvision; install labelloop[image].")
    if model not in classifiers():
        near = difflib.get_close_matches(model, classifiers(), n=3) or [AUTO, "resnet50", "vit_b_16"]
        raise LearningError(
            f"There is no image backbone {model!r}; there are auto, plain and torchvision's {len(classifiers())} classifiers, "
            f"such as {', '.join(near)}."
        )
    return Source(model, local)


def resolve_torchvision(spec: BackboneSpec) -> ResolvedBackbone:
    """Find a torchvision backbone, downloading its usual weights if they are not here and may be.

    Raises:
        LearningError: see `find_source`.
        WeightsNotFound: the weights are neither here nor to be had.
    """
    source = find_source(spec)
    if source.local is None:
        fetch_usual(source.model, offline=is_offline(spec.offline))
    return ResolvedBackbone(source.model, _identity(source), _width(source.model))


def build(source: Source) -> tuple[Any, Any]:
    """The network that gives pooled features, in evaluation mode, and the transform from a PIL image to its input.

    Raises:
        LearningError: local weights do not fit the model.
        WeightsNotFound: the usual weights are not here.
    """
    from torchvision.models import get_model

    with quiet():
        if source.local is None:
            fetch_usual(source.model, offline=True)
            network, _ = _cut(get_model(source.model, weights=usual_weights(source.model)))
        else:
            network, _ = _cut(get_model(source.model))
            _load(network, source.model, source.local)
    network.eval()
    return network, _transform(source)


def crop_of(source: Source) -> int:
    """Side in pixels of the network's input."""
    return int(_preset(source)["crop_size"])


def _load(network: Any, model: str, local: LocalWeights) -> None:
    state = read_state(local.path)
    try:
        missing, surplus = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise LearningError(f"{local.path} does not fit {model}: {str(error).splitlines()[1].strip()}") from None
    lacking = [name for name in missing if not name.endswith("num_batches_tracked") and not name.startswith(UNUSED)]
    # The head was cut off, so its weights, of however many classes, have no place left.
    foreign = [name for name in surplus if name.split(".")[0] not in _HEADS and not name.startswith(UNUSED)]
    if lacking or foreign:
        fault = f"it lacks {lacking[0]!r}" if lacking else f"{foreign[0]!r} has no place there"
        raise LearningError(f"{local.path} is not of the model {model}: {fault}.")


def _cut(network: Any) -> tuple[Any, int]:
    """The network with what follows its pooled features replaced by nothing, and how many features those are."""
    import torch

    name = next(name for name in _HEADS if hasattr(network, name))
    head = getattr(network, name)
    layers: list[Any] = list(head) if isinstance(head, torch.nn.Sequential) else [head]
    linear = [place for place, layer in enumerate(layers) if isinstance(layer, torch.nn.Linear)]
    if linear:
        at = linear[-1] if layers[linear[0]].in_features > _WIDEST else linear[0]
        kept, width = layers[:at], layers[at].in_features
    else:  # SqueezeNet classifies by a convolution and pools afterwards
        kept = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
        width = next(layer.in_channels for layer in layers if isinstance(layer, torch.nn.Conv2d))
    setattr(network, name, torch.nn.Sequential(*kept))
    return network, int(width)


def _identity(source: Source) -> str:
    weights = source.local.digest if source.local else str(usual_weights(source.model).url)
    what = json.dumps([weights, _preset(source), _REVISION], default=str, sort_keys=True)
    return f"torchvision-{source.model}-{sha256(what.encode()).hexdigest()[:12]}"


def _preset(source: Source) -> dict[str, Any]:
    usual = dict(usual_weights(source.model).transforms.keywords)
    return usual | (source.local.preset if source.local else {})


def _transform(source: Source) -> Any:
    return usual_weights(source.model).transforms.func(**_preset(source))


def usual_weights(model: str) -> Any:
    """The weights that torchvision names for a model, as a member of its enumeration."""
    from torchvision.models import get_model_weights

    return get_model_weights(model).DEFAULT


@lru_cache(maxsize=1)
def classifiers() -> tuple[str, ...]:
    """The names of torchvision's classifiers."""
    import torchvision

    return tuple(torchvision.models.list_models(module=torchvision.models))


@lru_cache(maxsize=8)
def _width(model: str) -> int:
    return hollow(model)[1]


def hollow(model: str) -> tuple[Any, int]:
    """The network that gives pooled features, without numbers where it can be built so, and how many features those are."""
    import torch

    try:
        with torch.device("meta"):
            return bare(model)
    except NotImplementedError:  # RegNet computes its layers' sizes with tensors, so it must be built in earnest
        return bare(model)


def bare(model: str) -> tuple[Any, int]:
    """The network that gives pooled features, of random weights, and how many features those are."""
    from torchvision.models import get_model

    with quiet():
        return _cut(get_model(model))


def fetch_usual(model: str, *, offline: bool) -> None:
    """Have a model's usual weights on this machine, downloading them if they are not here and may be.

    Raises:
        WeightsNotFound: they are neither here nor to be had.
    """
    import torch

    usual = usual_weights(model)
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(usual.url).name
    if file.is_file():
        return
    mend = f"put them at {file}, or set the path of local weights"
    if offline:
        raise WeightsNotFound(f"The weights of {model} are not on this machine; {mend}.")
    if not reachable(usual.url):
        raise WeightsNotFound(f"The weights of {model} are not on this machine, nor can their host be reached; {mend}.")
    try:
        with stalls_end():
            torch.hub.load_state_dict_from_url(
                usual.url, map_location="meta", progress=False, check_hash=True, weights_only=True
            )
    except (OSError, RuntimeError) as error:
        raise WeightsNotFound(f"The weights of {model} could not be downloaded ({error}); {mend}.") from error


@contextmanager
def quiet() -> Iterator[None]:
    """GoogLeNet and Inception warn of how they will be initialised; their weights are replaced anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

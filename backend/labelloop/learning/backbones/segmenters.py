"""Networks that tell which places of an image are of which class: a U-Net on a classifier, and torchvision's own.

torch is imported at the top, so functions alone import this module.
"""

from collections.abc import Callable, Mapping
from math import gcd
from typing import Any, Final, NamedTuple

import torch
from torch.nn import functional

from labelloop.learning.backbones.map_images import Stage, all_stages
from labelloop.learning.backbones.torch_running import keep_statistics
from labelloop.learning.backbones.torchvision_models import bare

# Channels by stride: of the decoder as it comes up, and of the plain encoder as it goes down.
WIDTHS: Final = {16: 96, 8: 48, 4: 32, 2: 24}
PLAIN_WIDTHS: Final = {2: 24, 4: 32, 8: 48, 16: 96, 32: 128}
GROUPS: Final = 8


class Seen(NamedTuple):
    """What a segmenter says of n images: of each as a whole [n, dim], and of the cells of one grid over it.

    Attributes:
        whole: the encoder's features, pooled.
        features: [n, channels, rows, columns], what the logits are told by.
        logits: [n, classes, rows, columns]; classes may overlap, so each is told for itself.
    """

    whole: torch.Tensor
    features: torch.Tensor
    logits: torch.Tensor


class Segmenter(torch.nn.Module):
    """An encoder, and a decoder that tells the classes.

    Attributes:
        encoder: turns images into features.
        decoder: all that comes after it.
        dim: length of the row for the whole image.
    """

    dim: int
    encoder: torch.nn.Module
    decoder: torch.nn.Module

    def train(self, mode: bool = True) -> "Segmenter":
        """Learn, or answer; the running statistics of batch normalisation stay as they were in pretraining either way."""
        super().train(mode)
        keep_statistics(self)
        return self

    def last(self) -> list[Any]:
        """The convolutions of the decoder whose sum is the logits."""
        raise NotImplementedError


class PlainEncoder(torch.nn.Module):
    """The way down of a small U-Net that no pretrained weights are at hand for: two convolutions at each size."""

    dim = PLAIN_WIDTHS[32]

    def __init__(self) -> None:
        super().__init__()
        wide = [12, *PLAIN_WIDTHS.values()]
        for stride, before, width in zip(PLAIN_WIDTHS, wide, wide[1:], strict=False):
            self.add_module(f"down{stride}", torch.nn.Sequential(_around(before, width), _around(width, width)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The deepest features, pooled, [n, dim]."""
        seen = functional.pixel_unshuffle(images, 2)
        for stride, stage in zip(PLAIN_WIDTHS, self.children(), strict=True):
            seen = stage(seen if stride == 2 else functional.max_pool2d(seen, 2))
        return seen.mean(dim=(2, 3))


class UNet(Segmenter):
    """A small U-Net (Ronneberger et al., 2015) whose way down is a classifier.

    On its way up it sees the classifier's stages at each stride and, at the last, the image itself, so boundaries are told at
    half of the image's resolution. The decoder is normalised by groups (Wu and He, 2018): small data means small batches.

    Args:
        encoder: a torchvision classifier, by name, or `plain`.
        classes: how many.
    """

    def __init__(self, encoder: str, classes: int) -> None:
        super().__init__()
        plain = encoder == "plain"
        self.encoder, self.dim = (PlainEncoder(), PlainEncoder.dim) if plain else bare(encoder)
        found = _plain_stages() if plain else all_stages(encoder)
        self._stages = dict(sorted(found.items(), reverse=True))
        self._seen: dict[int, Any] = {}
        for stride, stage in self._stages.items():
            self.encoder.get_submodule(stage.module).register_forward_hook(_keeper(self._seen, stride, stage))
        deepest, *shallower = self._stages.items()
        width = max(WIDTHS.values())
        self.decoder = torch.nn.ModuleDict({"start": _mixed(deepest[1].channels, width)})
        skips = {stride: stage.channels for stride, stage in shallower}
        for stride, out in WIDTHS.items():
            if stride == deepest[0]:
                continue
            skip = skips.get(stride, 0) + (12 if stride == 2 else 0)
            self.decoder[f"up{stride}"] = torch.nn.Sequential(_around(width + skip, out), _around(out, out))
            width = out
        self.decoder["tell"] = torch.nn.Conv2d(width, classes, 1)

    def last(self) -> list[Any]:
        """The convolutions of the decoder whose sum is the logits."""
        return [self.decoder["tell"]]  # type: ignore[index]

    def forward(self, images: torch.Tensor) -> Seen:
        """What it says of images [n, 3, side, side]; the grid's cells are of two pixels a side."""
        layers: Any = self.decoder
        whole = self.encoder(images)
        stages = [self._seen.pop(stride) for stride in self._stages]
        seen = layers["start"](stages[0])
        skips = dict(zip(self._stages, stages, strict=True))
        for stride in WIDTHS:
            if f"up{stride}" in layers:
                beside = [skips[stride]] if stride in skips else []
                beside += [functional.pixel_unshuffle(images, 2)] if stride == 2 else []
                seen = functional.interpolate(seen, size=beside[0].shape[2:], mode="bilinear")
                seen = layers[f"up{stride}"](torch.cat([seen, *beside], dim=1))
        return Seen(whole, seen, layers["tell"](seen))


class Known(Segmenter):
    """One of torchvision's: LR-ASPP (Howard et al., 2019), DeepLabV3 (Chen et al., 2017) or FCN (Long et al., 2015).

    Args:
        name: as torchvision calls it.
        classes: how many.
        weights: torchvision's weights of it, whose last step is made anew; None: random ones.
    """

    def __init__(self, name: str, classes: int, weights: Any = None) -> None:
        super().__init__()
        from torchvision.models import get_model

        kept = {} if weights is not None else {"num_classes": classes}
        network = get_model(name, weights=weights, weights_backbone=None, **kept)
        self.encoder, self.decoder = network.backbone, network.classifier
        self.dim = next(layer.in_channels for layer in self.decoder.modules() if isinstance(layer, torch.nn.Conv2d))
        if weights is not None:
            _tell_anew(self.decoder, classes)
        self._features: list[torch.Tensor] = []
        self.last()[-1].register_forward_pre_hook(lambda _, inputs: self._features.append(inputs[0]))

    def last(self) -> list[Any]:
        """The convolutions of the decoder whose sum is the logits."""
        return [getattr(*place) for place in _last_places(self.decoder)]

    def forward(self, images: torch.Tensor) -> Seen:
        """What it says of images [n, 3, side, side], on the decoder's grid."""
        stages = self.encoder(images)
        deepest = stages.get("out", stages.get("high"))
        logits = self.decoder(stages if "high" in stages else deepest)
        return Seen(deepest.mean(dim=(2, 3)), self._features.pop(), logits)


def group_norms(module: Any) -> None:
    """Normalise by groups of channels where a module normalises by batches."""
    for name, child in module.named_children():
        if isinstance(child, torch.nn.BatchNorm2d):
            setattr(module, name, torch.nn.GroupNorm(gcd(GROUPS, child.num_features), child.num_features))
        else:
            group_norms(child)


def start_logits(segmenter: Segmenter, shares: torch.Tensor) -> None:
    """Have it begin by saying of every place what share of the images is of each class, shares [classes] in (0, 1)."""
    for layer in segmenter.last():
        torch.nn.init.normal_(layer.weight, std=0.01)
        torch.nn.init.zeros_(layer.bias)
    with torch.no_grad():
        segmenter.last()[-1].bias.copy_(torch.logit(shares, eps=1e-4))


def load_encoder(segmenter: Segmenter, state: Mapping[str, torch.Tensor]) -> bool:
    """Give the encoder the weights of a classifier of its own name; False, and nothing is changed, where they do not fit."""
    own = segmenter.encoder.state_dict()
    # torchvision's segmenters keep the steps of a MobileNet without the name that the classifier has for them all.
    found = {name.removeprefix("features.") if name not in own else name: tensor for name, tensor in state.items()}
    if any(name not in found or found[name].shape != tensor.shape for name, tensor in own.items()):
        return False
    segmenter.encoder.load_state_dict({name: found[name] for name in own})
    return True


def _keeper(seen: dict[int, Any], stride: int, stage: Stage) -> Callable[[Any, Any, Any], None]:
    """A hook that keeps what a module gave, as [n, channels, rows, columns]."""

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen[stride] = output.permute(0, 3, 1, 2) if stage.last else output

    return keep


def _plain_stages() -> dict[int, Stage]:
    return {stride: Stage(f"down{stride}", width, last=False) for stride, width in PLAIN_WIDTHS.items()}


def _mixed(channels: int, width: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, width, 1, bias=False), torch.nn.GroupNorm(GROUPS, width), torch.nn.ReLU()
    )


def _around(channels: int, width: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, width, 3, padding=1, bias=False), torch.nn.GroupNorm(GROUPS, width), torch.nn.ReLU()
    )


def _last_places(decoder: Any) -> list[tuple[Any, str]]:
    """Where the convolutions are whose sum is the logits: what holds each, and its name there."""
    if hasattr(decoder, "high_classifier"):  # LR-ASPP
        return [(decoder, "low_classifier"), (decoder, "high_classifier")]
    return [(decoder, str(len(decoder) - 1))]


def _tell_anew(decoder: Any, classes: int) -> None:
    for holder, name in _last_places(decoder):
        old = getattr(holder, name)
        setattr(holder, name, torch.nn.Conv2d(old.in_channels, classes, old.kernel_size))

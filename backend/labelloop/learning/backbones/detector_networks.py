"""torchvision's detectors, built; imported by functions alone, since it needs torch."""

from collections.abc import Callable
from typing import Any, Final

import torch
from torchvision.models import detection, get_model
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.fcos import FCOSHead
from torchvision.ops import MultiScaleRoIAlign, StochasticDepth
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from labelloop.errors import LearningError
from labelloop.learning.backbones.detectors import Design
from labelloop.learning.backbones.torchvision_models import quiet, usual_weights

# Levels of the classifier that a light one looks at, the pyramid's channels, and steps of its heads: a quarter of the work of the
# usual 256 channels and four steps is left for the heads, about as much as a light classifier itself does.
STRIDES: Final = (8, 16, 32)
CHANNELS: Final = 96
STEPS: Final = 2
HIDDEN: Final = 256
# Side in pixels of the image by which the steps are found.
PROBE: Final = 64
# Boxes are kept generously: what is shown of them is decided by who has seen how they fare.
LEAST: Final = 0.02
SAME: Final = 0.6
MOST: Final = 300


def build_stock(name: str) -> Any:
    """One of torchvision's with its usual weights, which are here."""
    with quiet():
        return _generous(get_model(name, weights=usual_weights(name)))


def build_detector(design: Design, classifier: Any = None) -> Any:
    """A detector with random weights, in evaluation mode.

    Args:
        design: which; outputs are its classes after one for the background.
        classifier: of a light one, the network on which to build it; None: a random one.

    Raises:
        LearningError: a light one cannot be built on that classifier.
    """
    with quiet():
        if (light := design.light) is None:
            network = get_model(
                design.architecture, weights=None, weights_backbone=None, num_classes=1 + len(design.classes)
            )
        else:
            family, name = light
            network = _LIGHT[family](design, name, classifier if classifier is not None else get_model(name))
    return _generous(network)


def width_of(design: Design) -> int:
    """How many features the row of an image has."""
    try:
        with torch.device("meta"):
            return _width(design)
    except NotImplementedError:  # RegNet computes its layers' sizes with tensors, so it must be built in earnest
        return _width(design)


def encoder_of(network: Any) -> Any:
    """The part of a detector that looks at the image, before its levels are mixed: what a classifier does too."""
    backbone = network.backbone
    return backbone.body if hasattr(backbone, "body") else backbone.features


def watch(network: Any) -> list[Any]:
    """A list to which every run adds the encoder's last map, [n, dim, rows, columns]."""
    encoder, seen = encoder_of(network), list[Any]()

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen.append(list(output.values())[-1] if isinstance(output, dict) else output)

    # SSD runs the steps of its encoder one by one.
    (encoder[-1] if isinstance(encoder, torch.nn.Sequential) else encoder).register_forward_hook(keep)
    return seen


def _width(design: Design) -> int:
    network = build_detector(design)
    seen = watch(network)
    with torch.inference_mode():
        network.backbone(torch.zeros(1, 3, 320, 320))
    return int(seen[-1].shape[1])


def freeze_first(network: Any) -> None:
    """Let the encoder's steps down to a quarter of the image's side learn nothing.

    Edges and colours are the same everywhere, and on these large maps training costs as much as on all others together.
    """
    seen = torch.zeros(1, 3, PROBE, PROBE)
    for step in encoder_of(network).children():
        with torch.inference_mode():
            seen = step(seen)
        if seen.shape[2] < PROBE // 4:
            return
        step.requires_grad_(False)


def hold_still(network: Any) -> None:
    """Leave out what is random in training, and keep the running statistics of batch normalisation as they are.

    Of batches as small as these the statistics would be noise.
    """
    for module in network.modules():
        if isinstance(module, _MOVING):
            module.eval()


def _pyramid(name: str, classifier: Any, more: Any) -> BackboneWithFPN:
    """A pyramid (Lin et al., 2017) on the steps of a classifier at each of the strides."""
    steps = classifier.features if hasattr(classifier, "features") else classifier
    found: dict[int, tuple[str, int]] = {}
    hooks = [child.register_forward_hook(_noter(found, step)) for step, child in steps.named_children()]
    try:
        with torch.inference_mode():
            classifier.eval()(torch.zeros(1, 3, PROBE, PROBE))
    # A network of one fixed size of input says so by an assertion, a shape that does not fit, or in words of its own.
    except (AssertionError, RuntimeError, ValueError):
        found.clear()
    for hook in hooks:
        hook.remove()
    if lacking := [stride for stride in STRIDES if stride not in found]:
        raise LearningError(
            f"No detector can be built on {name}, which has no maps at a stride of {lacking[0]} pixels; choose a convolutional "
            "network such as mobilenet_v2, resnet50 or convnext_tiny."
        )
    levels = {found[stride][0]: str(number) for number, stride in enumerate(STRIDES)}
    return BackboneWithFPN(steps, levels, [found[stride][1] for stride in STRIDES], CHANNELS, more)


def _noter(found: dict[int, tuple[str, int]], step: str) -> Callable[[Any, Any, Any], None]:
    """A hook that notes a step, and its channels, as the latest at its stride."""

    def note(_module: Any, _inputs: Any, output: Any) -> None:
        shape = tuple(getattr(output, "shape", ()))
        if len(shape) == 4 and shape[2] == shape[3] > 1:
            found[PROBE // shape[2]] = step, shape[1]

    return note


def _fcos(design: Design, name: str, classifier: Any) -> Any:
    """FCOS (Tian et al., 2019): each cell tells the class and the sides of the box around it."""
    head = FCOSHead(CHANNELS, 1, 1 + len(design.classes), STEPS)
    backbone = _pyramid(name, classifier, LastLevelP6P7(CHANNELS, CHANNELS))
    return detection.FCOS(backbone, 1 + len(design.classes), head=head, **_shown(design))


def _retinanet(design: Design, name: str, classifier: Any) -> Any:
    """RetinaNet (Lin et al., 2017): boxes of nine usual sizes and shapes at each cell, classified and moved."""
    sizes = tuple(tuple(round(4 * stride * 2 ** (third / 3)) for third in range(3)) for stride in (4, 8, 16, 32, 64))
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    backbone = _pyramid(name, classifier, LastLevelP6P7(CHANNELS, CHANNELS))
    return detection.RetinaNet(backbone, 1 + len(design.classes), anchor_generator=anchors, **_shown(design))


def _fasterrcnn(design: Design, name: str, classifier: Any) -> Any:
    """Faster R-CNN (Ren et al., 2015): places where something may be, then what it is."""
    anchors = AnchorGenerator(((16,), (32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 4)
    pool = MultiScaleRoIAlign(["0", "1", "2"], output_size=7, sampling_ratio=2)
    return detection.FasterRCNN(
        _pyramid(name, classifier, LastLevelMaxPool()),
        rpn_anchor_generator=anchors,
        box_roi_pool=pool,
        box_head=TwoMLPHead(CHANNELS * 49, HIDDEN),
        box_predictor=detection.faster_rcnn.FastRCNNPredictor(HIDDEN, 1 + len(design.classes)),
        **_shown(design),
    )


def _shown(design: Design) -> dict[str, Any]:
    return {
        "min_size": design.side,
        "max_size": design.side,
        "image_mean": list(design.mean),
        "image_std": list(design.std),
    }


def _generous(network: Any) -> Any:
    """Keep more of what may be a box than is usual."""
    last = network.roi_heads if hasattr(network, "roi_heads") else network
    last.score_thresh, last.nms_thresh, last.detections_per_img = LEAST, SAME, MOST
    return network.eval()


_LIGHT: Final = {"fcos": _fcos, "retinanet": _retinanet, "fasterrcnn": _fasterrcnn}
_MOVING: Final = (
    torch.nn.modules.batchnorm._BatchNorm,
    torch.nn.modules.dropout._DropoutNd,
    StochasticDepth,
)

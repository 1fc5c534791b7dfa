"""Speaks Label Studio and learns nothing: its API, payloads, label configs, results and media."""

from labelloop.labelstudio.client import LabelStudio
from labelloop.labelstudio.codecs import CODECS, Codec, codec_for
from labelloop.labelstudio.config import LabelConfig, parse_label_config
from labelloop.labelstudio.dynamic import with_used_labels
from labelloop.labelstudio.labels import merge, prediction_json, showable, visible_controls
from labelloop.labelstudio.media import MediaFetcher, rules_of
from labelloop.labelstudio.payloads import Event, ProjectKey, read_event
from labelloop.labelstudio.tasks import AnnotationRecord, TaskRecord, read_task
from labelloop.labelstudio.texts import text_of

__all__ = [
    "CODECS",
    "AnnotationRecord",
    "Codec",
    "Event",
    "LabelConfig",
    "LabelStudio",
    "MediaFetcher",
    "ProjectKey",
    "TaskRecord",
    "codec_for",
    "merge",
    "parse_label_config",
    "prediction_json",
    "read_event",
    "read_task",
    "rules_of",
    "showable",
    "text_of",
    "visible_controls",
    "with_used_labels",
]

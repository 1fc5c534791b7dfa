"""The media of tasks: fetched safely, checked, and kept in a cache."""

import base64
import hashlib
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote_to_bytes

from labelloop.errors import MediaBroken
from labelloop.labelstudio.client import LabelStudio
from labelloop.labelstudio.images import check_image
from labelloop.labelstudio.media_cache import MediaCache
from labelloop.labelstudio.media_source import STORAGES, MediaSource, address_of
from labelloop.labelstudio.medical import MEDICAL_LIBRARIES, check_part, is_medical
from labelloop.records import Modality
from labelloop.records.media import Part, marked, names_part
from labelloop.settings import Settings

CHECKS: dict[Modality, Callable[[bytes, int], None]] = {Modality.IMAGE: check_image}
"""What each kind of media that lies outside its task must pass: (bytes, most pixels)."""

_DATA_URI = re.compile(r"data:[^,]*,", re.IGNORECASE)


def rules_of(settings: Settings) -> str:
    """A digest of what decides, beside a task itself, whether it can be read: hosts, sizes, and what reads medical files."""
    limits = (sorted(settings.media_hosts), settings.media_max_bytes, settings.media_max_pixels)
    installed = [find_spec(library) is not None for library in MEDICAL_LIBRARIES]
    return hashlib.sha256(repr((limits, installed)).encode()).hexdigest()[:12]


class MediaFetcher:
    """Fetches what tasks refer to. Safe to share between threads, and its cache between processes.

    Args:
        client: the Label Studio.
        cache_dir: where fetched media is kept.
        settings: hosts, time-out and sizes.
    """

    def __init__(self, client: LabelStudio, cache_dir: Path, settings: Settings) -> None:
        self._url = client.url
        self._max_bytes = settings.media_max_bytes
        self._max_pixels = settings.media_max_pixels
        self._cache = MediaCache(cache_dir, settings.media_cache_bytes)
        self._source = MediaSource(
            client, settings.media_hosts, timeout=settings.media_timeout, max_bytes=settings.media_max_bytes
        )

    def fetch(self, task_id: int, value: str, modality: Modality) -> bytes:
        """The file a task refers to, checked to be what it should be.

        One picture of a DICOM or NIfTI file is meant by `#frame=3` or `#slice=40&axis=coronal` at the end of its address, or by
        the same after a question mark; it comes with the file (`records.media.marked`), which is fetched once for all.

        Args:
            task_id: the task, through which Label Studio resolves storage links.
            value: what its data holds: an http(s) address, a path on Label Studio, a storage link or a data: URI.
            modality: what it must be.

        Raises:
            MediaBroken: it will not get better: not allowed, not there, too large, damaged, not what it should be.
            MediaUnavailable: it cannot be had for now.
        """
        value, part = _part_of(value.strip())
        data = self._file(task_id, value, modality)
        if part == Part() or not is_medical(data):
            return data
        check_part(data, part)
        return marked(data, part)

    def _file(self, task_id: int, value: str, modality: Modality) -> bytes:
        if _DATA_URI.match(value):
            return self._checked(_decoded(value, self._max_bytes), modality)
        key = hashlib.sha256(f"{self._url}\0{value}".encode(errors="replace")).hexdigest()
        kept = self._cache.get(key)
        if kept is not None:
            return kept
        data = self._checked(self._source.download(address_of(value, task_id, self._url)), modality)
        self._cache.put(key, data)
        return data

    def _checked(self, data: bytes, modality: Modality) -> bytes:
        if modality not in CHECKS:
            raise MediaBroken(f"{modality} is read from the task itself, not from an address.")
        CHECKS[modality](data, self._max_pixels)
        return data


def _part_of(value: str) -> tuple[str, Part]:
    """The address of a file, and which part of it is meant.

    A query stays in an http(s) address, since its host may go by it; in a storage link it would be taken for the file's name.
    """
    address, _, fragment = value.partition("#")
    if names_part(fragment):
        return address, Part.parse(fragment)
    if fragment or _DATA_URI.match(value):
        return value, Part()
    file, _, query = value.rpartition("?")
    if not file:
        return value, Part()
    scheme, separator, _ = file.partition("://")
    stored = bool(separator) and scheme.lower() in STORAGES and names_part(query)
    return (file if stored else value), Part.parse(query)


def _decoded(uri: str, max_bytes: int) -> bytes:
    header, _, body = uri.partition(",")
    if len(body) > 3 * max_bytes:  # percent-encoding takes three characters a byte
        raise MediaBroken(f"it is larger than the {max_bytes:,} bytes of LABELLOOP_MEDIA_MAX_BYTES.")
    # A lone surrogate, which JSON can carry, is no character and cannot be encoded.
    data = unquote_to_bytes(body.encode(errors="replace"))
    if header.lower().endswith(";base64"):
        try:
            data = base64.b64decode(data)
        except ValueError:
            raise MediaBroken("its data: URI is not valid base64.") from None
    if len(data) > max_bytes:
        raise MediaBroken(f"it is larger than the {max_bytes:,} bytes of LABELLOOP_MEDIA_MAX_BYTES.")
    return data

"""Fine-tuned backbones in the store: kept whole under their id, brought to this machine, and deleted when no version needs them."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from labelloop.errors import StoreError
from labelloop.learning import Backbone, BackboneSpec, ResolvedBackbone, load_backbone
from labelloop.learning.tuning import Tuned, spec_of
from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.store import Store
from labelloop.service.tuning_state import read_tuning

logger = logging.getLogger(__name__)

LIST = "files.json"
"""Beside a tuned backbone's folder: names every file in it. Written last, so a folder without it is none."""


def keep_tuned(store: Store, project: Project, tuned: Tuned) -> ResolvedBackbone:
    """Put a tuned backbone into the store; gives it with its place there.

    Raises:
        StoreError: the store cannot be written.
    """
    folder = f"{project.folder}/tuned/{tuned.backbone.id}"
    place = f"{folder}/{tuned.folder.name}"
    files = sorted(str(path.relative_to(tuned.folder)) for path in tuned.folder.rglob("*") if path.is_file())
    for name in files:
        store.write(f"{place}/{name}", (tuned.folder / name).read_bytes())
    store.write_json(f"{folder}/{LIST}", files)
    return replace(tuned.backbone, tuned=place)


def load_recorded(context: Context, spec: BackboneSpec, resolved: ResolvedBackbone) -> Backbone:
    """Load the backbone of a version, from the store where it was fine-tuned.

    Raises:
        LearningError: it cannot be loaded here.
        WeightsNotFound: its weights are not on this machine.
        StoreError: a tuned one is not in the store any more, or the store cannot be read.
    """
    if not resolved.tuned:
        return load_backbone(spec, resolved)
    return load_backbone(spec_of(spec, _here(context, resolved)), resolved)


def delete_unused(context: Context, project: Project) -> None:
    """Delete tuned backbones, and what they have embedded, that neither a version nor the fine-tuning under way stands on.

    A version whose manifest this release cannot read counts, too: the one that wrote it may be back. Nothing while
    one trains: what it keeps at that moment is not noted yet, and its end clears up.
    """
    # Asked for first: what it stands on meanwhile becomes a version's.
    attempt = read_tuning(context.store, project.folder).attempt
    if attempt is not None and attempt.backbone is None:
        return
    manifests = context.versions(project).manifests()
    under_way = attempt.backbone.id if attempt is not None and attempt.backbone is not None else ""
    for backbone_id in context.store.names(f"{project.folder}/tuned"):
        if backbone_id != under_way and not any(backbone_id.encode() in manifest for manifest in manifests):
            context.store.delete(f"{project.folder}/features/{backbone_id}")
            context.store.delete(f"{project.folder}/tuned/{backbone_id}")
            logger.info("Project %d: the tuned backbone %s is removed from the store", project.key.id, backbone_id)


def _here(context: Context, resolved: ResolvedBackbone) -> Path:
    """A local folder of the name and with the files that it was kept with."""
    files = context.store.read_json(f"{Path(resolved.tuned).parent.as_posix()}/{LIST}")
    cache = context.settings.data_dir / "tuned"
    named = [str(name) for name in files] if isinstance(files, list) else []
    _drop_copies(context, Path(resolved.tuned).parents[1])
    paths = [path for name in named if (path := context.store.local(f"{resolved.tuned}/{name}", cache)) is not None]
    if not named or len(paths) < len(named):
        raise StoreError(f"The fine-tuned backbone {resolved.id} is missing from the store {context.store.location}.")
    return paths[0].parents[len(Path(named[0]).parts) - 1]


def _drop_copies(context: Context, folder: Path) -> None:
    """Delete this machine's copies of tuned backbones that a remote store holds no longer."""
    kept = context.store.names(folder.as_posix())
    for copy in (context.settings.data_dir / "tuned" / folder).glob("*"):
        if copy.name not in kept:
            shutil.rmtree(copy, ignore_errors=True)

"""Cleaning up behind the live version: old predictions in Label Studio, old versions in the store."""

import logging

from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.push_state import read_push
from labelloop.service.versions import is_version_name

logger = logging.getLogger(__name__)


def tidy(context: Context, project: Project) -> None:
    """Delete what nobody will look at again.

    Predictions of superseded versions go from Label Studio, once the live version orders its queue; those of other models are left
    alone. Versions beyond `keep_versions` go from the store.

    Raises:
        LabelStudioError: Label Studio could not be written to; the next push tries again.
        StoreError: the store could not be written to.
    """
    versions = context.versions(project)
    live, push = versions.live_name(), read_push(context.store, project.folder)
    if push is not None and push.switched and push.version == live:
        for name in context.label_studio.model_versions(project.key.id):
            if name != live and is_version_name(name):
                context.label_studio.delete_model_version(project.key.id, name)
                logger.info("Project %d: predictions of %s removed from Label Studio", project.key.id, name)
    for name in versions.retire(context.settings.keep_versions):
        logger.info("Project %d: version %s removed from the store", project.key.id, name)

"""A stock Label Studio refuses backends at private addresses, and one that is half opened refuses them and keeps them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labelloop.cli.studio import Studio
from labelloop.errors import LabelStudioDenied
from labelloop.hooks import LabelLoop
from labelloop.service.app import create_app
from labelloop.service.connection import connect
from labelloop.service.context import Context
from labelloop.service.doctor import Level, examine
from support.redis_process import RedisProcess
from support.serving import CONFIG, a_context, served
from support.studio_process import StudioProcess, copy_started_studio

pytestmark = [pytest.mark.studio, pytest.mark.slow]

BLOCKED = {"LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "true", "LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS": "true"}


@pytest.fixture
def guarded_studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[StudioProcess, dict[str, str]]]:
    """A Label Studio of the test's own that protects private addresses, and its settings: change them and start it again."""
    settings = BLOCKED | {"LABEL_STUDIO_ML_BLOCK_LOCAL_IP": "true"}
    environment = Studio.environment
    monkeypatch.setattr(Studio, "environment", lambda self: environment(self) | settings)
    copy_started_studio(tmp_path / "studio")
    process = StudioProcess(tmp_path / "studio")
    yield process, settings
    process.stop()


def test_a_refused_address_is_told_with_the_settings_to_change_and_one_kept_all_the_same_is_used(
    guarded_studio: tuple[StudioProcess, dict[str, str]], tmp_path: Path, redis_server: RedisProcess
) -> None:
    studio, settings = guarded_studio
    studio.start()
    context = a_context(tmp_path, redis_server.url, label_studio_url=studio.url, label_studio_api_key=studio.api_key)
    project_id = int(context.label_studio.create_project("Guarded", CONFIG)["id"])
    with served(create_app(context, LabelLoop)) as url:
        refused(context, project_id, url)
        studio.stop()
        settings["LABEL_STUDIO_ML_BLOCK_LOCAL_IP"] = "false"
        studio.start()
        kept(context, project_id, url)


def refused(context: Context, project_id: int, url: str) -> None:
    with pytest.raises(LabelStudioDenied, match="LABEL_STUDIO_ML_BLOCK_LOCAL_IP=false"):
        connect(context, project_id, url)
    assert context.label_studio.ml_backends(project_id) == []
    assert context.projects.all() == []


def kept(context: Context, project_id: int, url: str) -> None:
    outcome = connect(context, project_id, url)
    [backend] = context.label_studio.ml_backends(project_id)
    assert (backend["url"], backend["state"]) == (url, "CO")
    assert context.label_studio.webhooks(project_id) == []
    [warning] = outcome.warnings
    assert "LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false" in warning
    assert [one["id"] for one in context.label_studio.ml_backends(project_id)] == [backend["id"]]
    assert connect(context, project_id, url).changes == []
    levels = {finding.name: finding.level for finding in examine(context, project_id)}
    assert (levels["backend"], levels["webhook"]) == (Level.OK, Level.BROKEN)

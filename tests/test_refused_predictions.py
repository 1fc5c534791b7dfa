"""What a real Label Studio does not keep of a push."""

from pathlib import Path
from typing import Any

import pytest

from labelloop.labelstudio import ProjectKey, prediction_json
from labelloop.service import scoring
from labelloop.service.round import run_round
from support.kinds import KINDS, make_job
from support.loop_process import label_studio_of
from support.redis_process import RedisProcess
from support.serving import a_context, a_project, push_all
from support.studio_process import StudioProcess

pytestmark = pytest.mark.studio
ANSWERED, COUNT = 12, 30


def test_a_task_whose_regions_are_refused_is_ordered_by_its_score(
    tmp_path: Path, redis_server: RedisProcess, studio: StudioProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = {"label_studio_url": studio.url, "label_studio_api_key": studio.api_key, "text_backbone": "plain"}
    context = a_context(tmp_path, redis_server.url, train_after=ANSWERED, **where)
    job = make_job(label_studio_of(studio), "rating", COUNT)
    key = ProjectKey.from_project(job.label_studio.project(job.project_id))
    project = a_project(context, KINDS["rating"].config, str(key))
    ids = list(job.truth)
    job.answer(ids[:ANSWERED])
    odd = ids[-1]

    def spoilt(task_id: int, *others: Any) -> dict[str, Any]:
        found = prediction_json(task_id, *others)
        return {**found, "result": [{**found["result"][0], "from_name": "nobody"}]} if task_id == odd else found

    monkeypatch.setattr(scoring, "prediction_json", spoilt)
    run_round(context, project, lambda *_: None)
    push_all(context, project)

    held = {one["task"]: one for one in job.predictions(context.versions(project).live_name())}
    assert set(held) == set(ids[ANSWERED:])
    assert {task for task, one in held.items() if not one["result"]} == {odd}
    assert 0 <= held[odd]["score"] <= 1
    context.redis.close()

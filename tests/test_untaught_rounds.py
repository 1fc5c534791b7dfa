"""A model that answers by itself and is named when people have labelled already."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from labelloop.service.history import read_history
from labelloop.service.round import run_round
from support.annotating import TEXT_CONFIG
from support.paper import PaperStudio, label, opened
from support.redis_process import RedisProcess
from support.writers import made_writer

CONFIG = TEXT_CONFIG.replace("</View>", '<TextArea name="remark" toName="text"/></View>')


class Remarks(PaperStudio):
    """Nobody has written a remark yet."""

    def project(self, project_id: int) -> dict[str, Any]:
        return super().project(project_id) | {"label_config": CONFIG}


@pytest.mark.parametrize("labelled", [0, 24])
def test_a_model_that_is_named_later_pre_annotates_what_nobody_has_answered(
    tmp_path: Path, redis_server: RedisProcess, labelled: int
) -> None:
    studio = Remarks("4")
    context, project = opened(tmp_path, redis_server, studio)
    before = label(context, project, studio, labelled)
    assert {r.control.name for r in context.versions(project).get(before).learnt} == ({"topic"} if labelled else set())
    context.redis.close()

    writer = made_writer(tmp_path / "made-t5")
    context, project = opened(tmp_path, redis_server, studio, text_writer=str(writer))
    run_round(context, project, lambda *_: None)
    live = context.versions(project).live()
    assert live is not None
    assert {record.control.name: record.kind for record in live.learnt}["remark"] == "generated-text"
    assert live.stage == ("trained" if labelled else "cold")
    assert "'remark' is pre-annotated by made-t5 as it is" in live.reason
    if labelled:
        assert live.learners[0] == context.versions(project).get(before).learners[0]
        assert read_history(context, project, live.name)["topic"].points
    run_round(context, project, lambda *_: None)
    assert context.versions(project).live_name() == live.name
    context.redis.close()

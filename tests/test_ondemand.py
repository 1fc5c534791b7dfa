"""What the server keeps of what it has loaded for single tasks."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labelloop.service import ondemand
from labelloop.service.ondemand import NETWORKS, OnDemand
from support.redis_process import RedisProcess
from support.serving import a_context


def test_a_few_networks_are_kept_those_asked_for_last(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(context: Any, spec: Any, resolved: Any) -> str:
        loaded.append(resolved.id)
        return str(resolved.id)

    monkeypatch.setattr(ondemand, "load_recorded", load)
    kept = OnDemand(a_context(tmp_path, redis_server.url))

    def ask(name: str) -> None:
        record: Any = SimpleNamespace(backbone=SimpleNamespace(id=name), backbone_spec=None)
        assert kept._backbone(record) == name

    for name in ["quick", *(f"tuned-{n}" for n in range(NETWORKS + 3))]:
        ask(name)
        ask("quick")
    assert len(kept._backbones) == NETWORKS
    assert loaded.count("quick") == 1
    kept.stop()

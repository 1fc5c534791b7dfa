"""What a worker imports before it forks its jobs is all that a quick round needs."""

import os
import subprocess
import sys

import pytest

from support.loop_process import BACKEND

A_ROUND = """
import sys
import numpy as np
from labelloop.learning import STRATEGIES, ClassificationLearner, Pool, preload
from labelloop.records import ClassTarget

preload()
before = set(sys.modules)
rows = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
labels = (rows[:40, 0] > 0).astype(int)
STRATEGIES["auto"].order(Pool(rows), 0)
learner = ClassificationLearner.fit(rows[:40], [ClassTarget(str(n)) for n in labels], ("0", "1"), unlabelled=rows[40:])
said = learner.probabilities(rows[40:])
pool = Pool(rows[40:], labelled=rows[:40], probabilities=said, labels=labels, classes=2, skill=0.9)
STRATEGIES["auto"].order(pool, 0)
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""


def test_after_preloading_a_round_imports_nothing_more() -> None:
    environment = {**os.environ, "PYTHONPATH": str(BACKEND)}
    done = subprocess.run(
        [sys.executable, "-c", A_ROUND], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == []


def test_networks_are_trained_with_what_is_loaded_before_jobs_are_forked() -> None:
    """torch takes two seconds, and what it loads for its first optimizer as much, which each training of boxes or areas would pay."""
    pytest.importorskip("torch")
    code = (
        "import sys; from labelloop.learning import preload; preload(); before = set(sys.modules); "
        "import torch; torch.optim.AdamW([torch.zeros(1)]); print(len(set(sys.modules) - before))"
    )
    environment = {**os.environ, "PYTHONPATH": str(BACKEND)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == ["0"]

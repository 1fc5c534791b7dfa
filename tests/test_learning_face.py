"""What the learning room shows and what importing it costs."""

import subprocess
import sys

import labelloop.learning as learning
from labelloop.records import Kind

HEAVY = {"torch", "torchvision", "sklearn", "scipy", "sentence_transformers", "transformers", "huggingface_hub"}


def test_importing_loads_no_heavy_library() -> None:
    code = "import sys, labelloop.learning; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())

    assert HEAVY.isdisjoint(done.stdout.split())


def test_face_is_sorted_and_complete() -> None:
    constants = [name for name in learning.__all__ if name.isupper()]
    classes = [name for name in learning.__all__ if name[0].isupper() and not name.isupper()]
    functions = [name for name in learning.__all__ if name[0].islower()]

    assert learning.__all__ == sorted(constants) + sorted(classes) + sorted(functions)
    assert all(getattr(learning, name).__doc__ for name in classes + functions)


def test_choices_are_learnt_by_the_classification_learner() -> None:
    assert learning.LEARNERS[Kind.CLASS] is learning.ClassificationLearner
    assert learning.LEARNERS[Kind.CLASS].kind == "classification"


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(sys.path)}

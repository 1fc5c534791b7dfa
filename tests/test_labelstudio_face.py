"""The package shows one curated face, and wearing it is cheap."""

import subprocess
import sys

import labelloop.labelstudio as face

HEAVY = ("PIL", "label_studio_sdk", "lxml", "pandas", "sklearn", "torch")


def test_every_public_name_is_there_and_documented() -> None:
    assert face.__all__ == sorted(face.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    for name in set(face.__all__) - {"CODECS"}:
        assert getattr(face, name).__doc__, name


def test_a_server_that_imports_it_pays_for_no_heavy_library() -> None:
    program = f"import sys, labelloop.labelstudio; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""What the log of every command leaves out unless it is asked to be verbose."""

import logging
from collections.abc import Iterator

import pytest

from labelloop.cli.root import root_options

LIBRARIES = {
    "sentence_transformers": "sentence_transformers.base.model",
    "aiobotocore": "aiobotocore.credentials",
    "botocore": "botocore.configprovider",
}
NAMES = ("labelloop", *LIBRARIES)


@pytest.fixture(autouse=True)
def levels_as_before() -> Iterator[None]:
    before = {name: logging.getLogger(name).level for name in NAMES}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("library", LIBRARIES)
def test_each_loading_of_an_encoder_and_opening_of_a_store_is_told_of_only_when_verbose(
    library: str, verbose: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # as the commands set the root of all logs
    root_options(verbose=verbose)
    assert logging.getLogger(LIBRARIES[library]).isEnabledFor(logging.INFO) is verbose
    assert logging.getLogger("labelloop").isEnabledFor(logging.INFO)

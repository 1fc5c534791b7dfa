"""scikit-learn's handwritten digits as a data set."""

from labelloop.cli.demo import load_digits, picture
from labelloop.cli.simulating.source import Columns, Source
from labelloop.records import Modality


def read(where: str, columns: Columns) -> Source:
    """The 1,797 digits as PNG images."""
    labels = [str(digit) for digit in load_digits().target]
    ids = [f"digit-{number:04}" for number in range(len(labels))]
    return Source(where, Modality.IMAGE, ids, labels, picture)

"""What the benchmarks read of data sets."""

from pathlib import Path

import pytest

from benchmarks.task_data import sentences


@pytest.mark.parametrize("between", ["\n\n", "\r\n\r\n", "\n\t\n", "\n\t\t\n\n", "\n \n"])
def test_sentences_end_at_any_line_without_a_token(between: str, tmp_path: Path) -> None:
    path = tmp_path / "some.conll"
    first, second = "Ada\tB-person\nLovelace\tI-person\nwrote\tO", "In\tO\nParis\tB-location"
    path.write_text(f"{first}{between}{second}\n\n", encoding="utf-8", newline="")
    (one, drawn), (other, marked) = sentences(path)

    assert (one, other) == ("Ada Lovelace wrote", "In Paris")
    assert [(span.label, span.start, span.end) for span in drawn.spans] == [("person", 0, 12)]
    assert [(span.label, span.start, span.end) for span in marked.spans] == [("location", 3, 8)]

"""Labels that are drawn in images are few and say much, so fewer of them are enough."""

import pytest

from labelloop.records import Kind
from labelloop.service.enough import to_fine_tune, to_judge
from labelloop.settings import Settings


@pytest.mark.parametrize("kind", Kind)
def test_half_as_many_are_enough_where_boxes_or_areas_are_drawn(kind: Kind) -> None:
    settings = Settings(holdout_min=21, fine_tune_from=200)
    drawn = kind in (Kind.BOXES, Kind.MASKS)
    assert to_judge(settings, kind) == (11 if drawn else 21)
    assert to_fine_tune(settings, kind) == (100 if drawn else 200)


@pytest.mark.parametrize("kind", Kind)
def test_nothing_is_judged_by_no_label(kind: Kind) -> None:
    assert to_judge(Settings(holdout_min=1), kind) == 1

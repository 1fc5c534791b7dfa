"""Several backbones named together are one, whose rows hold what each says."""

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning import BackboneSpec, Parts, load_backbone, resolve_backbone
from labelloop.records import Modality

TWICE = BackboneSpec(Modality.TEXT, "plain+plain")


def test_rows_stand_side_by_side() -> None:
    one = load_backbone(BackboneSpec(Modality.TEXT, "plain"), resolve_backbone(BackboneSpec(Modality.TEXT, "plain")))
    resolved = resolve_backbone(TWICE)
    both = load_backbone(TWICE, resolved)
    texts = ["rain in May", "bread and salt"]
    assert resolved.blocks == (one.dim, one.dim)
    assert resolved.dim == both.dim == 2 * one.dim
    np.testing.assert_array_equal(both.embed(texts), np.tile(one.embed(texts), 2))


def test_what_one_cannot_read_no_row_is_half_full_of() -> None:
    spec = BackboneSpec(Modality.IMAGE, "plain+plain")
    rows = load_backbone(spec, resolve_backbone(spec)).embed([b"no image"])
    assert np.isnan(rows).all()


def test_the_same_networks_in_another_order_are_other_features() -> None:
    names = [resolve_backbone(BackboneSpec(Modality.TEXT, name)).id for name in ("plain+plain", "plain+plain+plain")]
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    "spec",
    [
        BackboneSpec(Modality.IMAGE, "plain+plain", weights="my.safetensors"),
        BackboneSpec(Modality.IMAGE, "plain+plain", parts=Parts.MAP),
    ],
)
def test_what_cannot_be_joined_is_told(spec: BackboneSpec) -> None:
    with pytest.raises(LearningError, match="cannot be joined"):
        resolve_backbone(spec)


def test_a_backbone_that_is_not_there_is_told_by_its_own_name() -> None:
    with pytest.raises(LearningError, match="'resnet5000'"):
        resolve_backbone(BackboneSpec(Modality.IMAGE, "plain+resnet5000"))

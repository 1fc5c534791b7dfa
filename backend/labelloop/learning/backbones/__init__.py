"""Backbones: frozen networks, and plain featurisers where none can be had, that turn media into features."""

from labelloop.learning.backbones.base import Backbone, BackboneSpec, Parts, ResolvedBackbone
from labelloop.learning.backbones.dense import Dense, DenseBackbone
from labelloop.learning.backbones.finding import load_backbone, resolve_backbone
from labelloop.learning.backbones.joined import JOINT

__all__ = [
    "JOINT",
    "Backbone",
    "BackboneSpec",
    "Dense",
    "DenseBackbone",
    "Parts",
    "ResolvedBackbone",
    "load_backbone",
    "resolve_backbone",
]

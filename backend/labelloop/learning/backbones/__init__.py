"""Backbones: frozen networks, and plain featurisers where none can be had, that turn media into features."""

"""Labelloop: a Label Studio ML backend that learns while people label."""

__version__ = "0.1.0"

"""Weights that were trained elsewhere: fetched, imported into our own files, and put into a network."""

from models.pretrained.store import Weights, load, read

__all__ = ["Weights", "load", "read"]

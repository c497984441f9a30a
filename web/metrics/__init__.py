"""Figures for Prometheus: counts, ages and codes; nothing of a patient."""

from web.metrics.pages import blueprint

__all__ = ["blueprint"]

"""Intake of files, folders and archives into studies."""

from cspine.ingest.intake import Intake
from cspine.records.intake import Receipt

__all__ = ["Intake", "Receipt"]

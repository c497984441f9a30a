"""Decoding needs no database: plain settings."""

import pytest

from cspine.settings import Settings


@pytest.fixture
def settings() -> Settings:
    """Give the default limits."""
    return Settings()

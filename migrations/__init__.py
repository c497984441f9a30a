"""Alembic migrations of the database; a version imports nothing of ours."""

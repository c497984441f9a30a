"""Paths as they may be logged."""

SECRET_PATHS = ("/signin/",)
LENGTH = 200


def safe_path(path: str) -> str:
    """Return a path without its query, and without a sign-in token."""
    path = path.partition("?")[0]
    for prefix in SECRET_PATHS:
        if path.startswith(prefix):
            return f"{prefix}..."
    return path[:LENGTH]

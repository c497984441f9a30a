"""Upload: files and archives, streamed into a batch."""

from web.upload.pages import blueprint, init

__all__ = ["blueprint", "init"]

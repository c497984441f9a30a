"""Upload: files and archives, streamed into a batch."""

from web.upload.pages import init, pages

__all__ = ["init", "pages"]

"""What of an address may reach the database: numbers that a row can have, and no NUL."""

from urllib.parse import SplitResult, urlsplit

from flask import Flask, abort, request
from werkzeug.routing import IntegerConverter

DIGITS = 18  # fewer than a 64-bit number can have


class RowConverter(IntegerConverter):
    """The number of a row in a path; a longer one is no page."""

    regex = rf"\d{{1,{DIGITS}}}"


def init(app: Flask) -> None:
    """Know rows in paths, and refuse NUL, which PostgreSQL takes in no text."""
    app.url_map.converters["row"] = RowConverter
    app.before_request(refuse_nul)


def row_number(text: str) -> int:
    """Return the number of a row in a query; raises `ValueError` where no row can have it."""
    if not text.isdecimal() or len(text) > DIGITS:
        raise ValueError(text)
    return int(text)


def split(address: str) -> SplitResult | None:
    """Return the parts of an address, or null where it is none."""
    try:
        return urlsplit(address)
    except ValueError:  # a bracket that nothing closes
        return None


def refuse_nul() -> None:
    """Refuse an address with NUL in it."""
    if "\0" in request.path or any("\0" in value for _, value in request.args.items(multi=True)):
        abort(400)

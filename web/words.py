"""How the pages say things: times in the site's zone, waiting times, names of persons, what a probability is."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from markupsafe import Markup

from cspine.forecast import Expected
from cspine.reasons import sentence
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Release
from cspine.triage import Bucket, share_in_words

NOTICE = "An aid for reading order, not a diagnosis."
BUCKETS = {
    Bucket.OVERDUE: "Overdue",
    Bucket.POSITIVE: "Positive",
    Bucket.NOT_ANALYSED: "Not analysed",
    Bucket.NORMAL: "Normal",
}
STATES = {
    State.RECEIVED: "waiting for a worker to decode it",
    State.PREPARING: "being decoded",
    State.READY: "decoded, waiting for the network",
    State.SCREENING: "being analysed",
    State.DONE: "analysed",
    State.WAITING: "will be tried again",
    State.FAILED: "failed",
    State.QUARANTINED: "quarantined",
    State.CANCELLED: "cancelled",
}
KINDS = {
    "transient": "It may pass by itself, and was tried again by itself until its tries were used up.",
    "permanent": "The same work fails in the same way until somebody changes something.",
    "unknown": "Nobody knows yet whether another try would help.",
}
ACTIONS = {"retry": "Try again:", "discard": "Discard:"}
BULK_STATES = {
    "previewed": "Preview",
    "canary": "The canary runs",
    "released": "Being sent",
    "stopped": "Stopped by its canary",
    "done": "Sent",
}
DISCARD_STATES = BULK_STATES | {"released": "Being discarded", "done": "Discarded"}
REPLAY_STATES = {
    "running": "under way",
    "stopped": "stopped: the candidate cannot be loaded",
    "complete": "complete",
    "promoted": "promoted",
    "cancelled": "cancelled",
}
PROGRESS = (  # states of what was tried again, with the colour of a ledger's bucket
    ("done", "analysed"), ("failed", "failed"), ("quarantined", "quarantined"), ("cancelled", "cancelled"),
    ("waiting", "waiting"),
)  # fmt: skip
UNITS = ("bytes", "KB", "MB", "GB")


def init(app: Flask, settings: Settings) -> None:
    """Give the templates these words."""
    zone = ZoneInfo(settings.site_timezone)
    app.jinja_env.filters |= {
        "local": lambda moment: local(moment, zone),
        "clock": lambda moment: f"{moment.astimezone(zone):%Y-%m-%d %H:%M}",
        "waited": waited,
        "person": person_name,
        "sentence": sentence,
        "share": share_in_words,
        "size": size,
        "work": work,
        "expected_end": lambda expected: expected_end(expected, zone),
        "state": lambda state: STATES[State(state)],
        "spaced": lambda code: code.replace("_", " "),
        "spaced_ms": lambda name: name.removesuffix("_ms").replace("_", " "),
    }
    app.jinja_env.globals |= {
        "NOTICE": NOTICE,
        "BUCKETS": {bucket.value: words for bucket, words in BUCKETS.items()},
        "KINDS": KINDS,
        "ACTIONS": ACTIONS,
        "bulk_state": bulk_state,
        "PROGRESS": PROGRESS,
        "REPLAY_STATES": REPLAY_STATES,
        "said": said,
        "bars": bars,
        "is_demo": is_demo,
        "utcnow": lambda: datetime.now(UTC),
        "zone_name": settings.site_timezone,
    }


def bulk_state(action: str, state: str) -> str:
    """Say where a retry or a discard stands."""
    return (DISCARD_STATES if action == "discard" else BULK_STATES)[state]


def local(moment: datetime, zone: ZoneInfo) -> Markup:
    """Return a time in the site's zone, to the minute; the title has the seconds and the zone."""
    here = moment.astimezone(zone)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        here.isoformat(), f"{here:%Y-%m-%d %H:%M:%S %Z}", f"{here:%Y-%m-%d %H:%M}"
    )


def waited(since: datetime, until: datetime) -> str:
    """Say how long something has waited: `45 s`, `7 min`, `3 h 20 min`, `2 d 4 h`."""
    seconds = max(0, int((until - since).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 1:
        return f"{seconds} s"
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{days} d {hours % 24} h"


def work(expected: Expected | None) -> str:
    """Say how much work is expected: the time of one process, as if it worked alone."""
    if expected is None or expected.seconds_of_work is None:
        return "not known yet"
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    return f"about {waited(begin, begin + timedelta(seconds=expected.seconds_of_work))} of one process"


def expected_end(expected: Expected | None, zone: ZoneInfo) -> Markup | str:
    """Say when it is expected to end, or why that is not known."""
    if expected is None:
        return "not known yet"
    if expected.ends_at is None:
        return f"not known: {expected.why.words}" if expected.why else "not known yet"
    return Markup("about {}").format(local(expected.ends_at, zone))


def person_name(stored: str | None) -> str:
    """Return a DICOM person name as a person writes it: `Doe^Jane^^Dr` is `Doe, Jane, Dr`; groups side by side."""
    groups = []
    for group in (stored or "").split("="):
        family, given, middle, prefix, suffix = ([part.strip() for part in group.split("^")] + [""] * 5)[:5]
        parts = [family, " ".join(filter(None, [given, middle])), prefix, suffix]
        groups.append(", ".join(filter(None, parts)))
    return " · ".join(dict.fromkeys(filter(None, groups)))


def size(count: int) -> str:
    """Return a number of bytes for people."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 else f"{value:.1f} {UNITS[unit]}"


def is_demo(release: Release | None) -> bool:
    """Say whether a release was trained for show only."""
    return bool(release and release.card.get("demo"))


def said(release: Release | None) -> str:
    """Say what a probability is: the output of a model, after which scaling, of which kind of release."""
    words = ["model output"]
    if release is not None:
        scaled = release.card.get("temperature", 1) not in {1, None}
        words.append("temperature-scaled" if scaled else "uncalibrated")
    if is_demo(release):
        words.append("demo release")
    return ", ".join(words)


def bars(probabilities: Mapping[str, float] | None, card: Mapping[str, Any] | None = None) -> list[tuple[str, float]]:
    """Return the probabilities of all classes in the order of the release's card."""
    if not probabilities:
        return []
    order = [label["name"] for label in (card or {}).get("labels", [])]
    names = [name for name in order if name in probabilities] + [name for name in probabilities if name not in order]
    return [(name, float(probabilities[name])) for name in names]

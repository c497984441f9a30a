"""Every table of the database; `records` has the queries."""

from cspine.tables.base import Table, new_id, plain
from cspine.tables.explanation import Explanation
from cspine.tables.intake import Announced, Batch, ReceivedFile
from cspine.tables.people import Audit, Heartbeat, Review, Token, User
from cspine.tables.queue import Bulk, BulkMember, Pause, Replay, ReplayStudy
from cspine.tables.screening import Attempt, Claim, Release, Result, Screening
from cspine.tables.study import Image, Study
from cspine.tables.submission import Submission

__all__ = [
    "Announced", "Attempt", "Audit", "Batch", "Bulk", "BulkMember", "Claim", "Explanation", "Heartbeat", "Image",
    "Pause", "ReceivedFile", "Release", "Replay", "ReplayStudy", "Result", "Review", "Screening", "Study",
    "Submission", "Table", "Token", "User", "new_id", "plain",
]  # fmt: skip

"""The two families of errors: what may pass by itself, and what will not.

Every error carries a reason code; the docstring of a class is what it means.
"""

from cspine.reasons import Reason


class CspineError(Exception):
    """Something went wrong that has a name."""

    default = Reason.INTERNAL_ERROR

    def __init__(self, detail: str = "", reason: Reason | None = None) -> None:
        """Keep the reason code beside a detail for the log; the detail never holds patient data."""
        self.reason = reason or self.default
        self.detail = detail
        super().__init__(f"{self.reason.value}: {detail}" if detail else self.reason.value)


class Retriable(CspineError):
    """The cause may pass by itself, so that the same work is worth another try."""


class ServiceFault(Retriable):
    """The broker, the database or the blob store does not answer; not the study's fault, so no try is counted."""

    default = Reason.STORAGE_UNAVAILABLE


class Contended(ServiceFault):
    """The database answered, but not this: a deadlock, a lock or a statement that took too long.

    It is no outage. Elsewhere it passes like one; where it ends an attempt, it is an error of its own and counts.
    """

    default = Reason.DATABASE_BUSY


class Permanent(CspineError):
    """The same work will fail in the same way until a person changes something."""


class Refused(Permanent):
    """A file is refused with its reason; its neighbours go on."""

    default = Reason.CORRUPT


class Skipped(Permanent):
    """A file is no image and none was expected of it."""

    default = Reason.NON_IMAGE_OBJECT


class Usage(CspineError):
    """The person asked for something that cannot be done as asked (exit status 2)."""


class ServiceMissing(CspineError):
    """A service that the command needs is not there (exit status 3)."""

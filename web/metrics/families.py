"""The metrics by name: their type, their help and their labels, as a table that docs/metrics.md repeats.

No label may hold anything but a code, a lane, a stage or a name that an installer gave.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from cspine.records.tallies import Histogram

PREFIX = "cspine_"
Sample = tuple[Sequence[str], float]


@dataclass(frozen=True)
class Family:
    """One metric."""

    help: str
    labels: tuple[str, ...] = ()


GAUGES = {
    "up": Family("Whether the database and the broker answer (1) or not (0).", ("part",)),
    "queue_studies": Family("Studies that wait for a stage and may be claimed.", ("stage", "lane")),
    "queue_oldest_age_seconds": Family("How long the oldest of them has waited for this stage.", ("stage", "lane")),
    "lane_open": Family("Whether workers take work from the lane now: not paused, and in its window.", ("lane",)),
    "lane_paused": Family("Whether a person has paused the lane, or the whole queue.", ("lane",)),
    "screenings": Family("Screenings that are not done, by state; lane `shadow` is a replay's.", ("state", "lane")),
    "unanswered_studies": Family("Studies that will be tried again or were given up.", ("state", "stage", "reason")),
    "files_set_aside": Family("Received files that no study's work needs.", ("bucket", "reason")),
    "batches_unbalanced": Family("Batches whose ledger did not add up when the sweep last checked it."),
    "unread_studies": Family("Studies on the triage list that nobody has read.", ("bucket",)),
    "unread_oldest_age_seconds": Family("How long ago the oldest of them was received.", ("bucket",)),
    "processes": Family("Processes that were alive within their time.", ("kind",)),
    "heartbeat_age_seconds": Family("How long ago a process of the kind last said that it is alive.", ("kind",)),
    "processes_with_fault": Family("Live processes that say what keeps them from working.", ("kind", "reason")),
    "sweep_age_seconds": Family("How long ago a sweep ended a pass."),
    "broker_messages": Family("Messages in a queue of the broker that no worker has taken.", ("queue",)),
    "broker_memory_bytes": Family("Memory that the broker uses."),
    "broker_memory_limit_bytes": Family("Memory that the broker may use; 0: no limit."),
    "blob_bytes": Family("Bytes in the blob store when the sweep last walked over it."),
    "blobs": Family("Blobs in the blob store then."),
    "blobs_orphaned": Family("Blobs then that no row names, and that are to be removed."),
    "disk_free_bytes": Family("Room on this host's disk.", ("place",)),
    "disk_bytes": Family("Size of this host's disk.", ("place",)),
    "release_info": Family("1 for the active release.", ("name", "version", "identity")),
    "scrape_seconds": Family("How long it took to collect these figures.", ("part",)),
}
COUNTERS = {
    "files_received": Family("Files received."),
    "files_received_bytes": Family("Bytes of the files that were kept."),
    "attempts": Family("Attempts that ended.", ("stage", "outcome", "reason")),
    "attempts_ended": Family("The same without the reason, each stage and outcome from 0 on.", ("stage", "outcome")),
    "retries": Family("Attempts of a stage that their study had been tried in before, hand-backs apart.", ("stage",)),
    "leases_expired": Family("Claims whose lease ran out.", ("stage",)),
}
HISTOGRAMS = {
    "claim_duration_seconds": Family("How long a claim was held: one run of a stage.", ("stage",)),
    "claim_studies": Family("Studies in one claim: the batch size.", ("stage",)),
}


def gauge(name: str, samples: Iterable[Sample]) -> Metric:
    """Return a gauge of the table with these values."""
    family = GaugeMetricFamily(PREFIX + name, GAUGES[name].help, labels=GAUGES[name].labels)
    for labels, value in samples:
        family.add_metric(list(labels), value)
    return family


def counter(name: str, samples: Iterable[Sample]) -> Metric:
    """Return a counter of the table with these values."""
    family = CounterMetricFamily(PREFIX + name, COUNTERS[name].help, labels=COUNTERS[name].labels)
    for labels, value in samples:
        family.add_metric(list(labels), value)
    return family


def histogram(name: str, samples: Iterable[tuple[Sequence[str], Histogram]]) -> Metric:
    """Return a histogram of the table with these values."""
    family = HistogramMetricFamily(PREFIX + name, HISTOGRAMS[name].help, labels=HISTOGRAMS[name].labels)
    for labels, value in samples:
        below, buckets = 0, []
        for bound, count in zip([*map(str, value.bounds), "+Inf"], value.counts, strict=True):
            below += count
            buckets.append((bound, below))
        family.add_metric(list(labels), buckets, value.total)
    return family

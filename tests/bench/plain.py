"""Plain Celery to be measured by: a task that does nothing, one message each, nothing of ours but the broker's address.

python -m tests.bench.plain

It acknowledges late and takes one message at a time, as our workers do, and keeps no results.
"""

import sys

from celery import Celery

from cspine.settings import Settings

CHILDREN = 2
app = Celery("plain", broker=Settings().redis_url, set_as_current=False)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True, result_backend=None,
                worker_enable_remote_control=False, worker_send_task_events=False)  # fmt: skip


@app.task(name="plain")  # type: ignore[untyped-decorator]
def nothing(_number: int) -> None:
    """Do nothing."""


if __name__ == "__main__":
    app.worker_main(["worker", "--concurrency", str(CHILDREN), "--pool", "prefork", "--hostname", "plain@%h",
                     "--loglevel", "WARNING", "--without-gossip", "--without-mingle",
                     "--without-heartbeat"])  # fmt: skip
    sys.exit()

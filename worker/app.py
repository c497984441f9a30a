"""The Celery application of the workers: wiring only. `celery -A worker.app`, or `cspine worker --stage ...`."""

from typing import Any

from celery import Celery, signals

from cspine import logs, queue
from cspine.settings import Settings, quiet_libraries
from worker import parent, runtime, transport

quiet_libraries()  # for `celery -A`; the command has done it
settings = Settings()
app = Celery("cspine", include=["worker.tasks"], task_cls="worker.request:Task")
app.add_defaults(lambda: {"broker_url": queue.broker_url(settings)})
queue.configure(app, settings)
transport.use(app)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=False,  # a poison would be delivered again for ever; the lease brings its study back
    worker_prefetch_multiplier=1,
    worker_pool="worker.pool:Pool",
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)


def _log(**_: Any) -> None:
    logs.configure(settings)


def _begin(sender: Any, **_: Any) -> None:
    parent.begin(settings, list(sender.app.amqp.queues.consume_from), sender)


def _leave(**_: Any) -> None:
    parent.leave()


def _end(**_: Any) -> None:
    parent.end()


def _begin_child(**_: Any) -> None:
    runtime.begin(settings, list(app.amqp.queues.consume_from))


signals.setup_logging.connect(_log)
signals.worker_ready.connect(_begin)
signals.worker_shutting_down.connect(_leave)
signals.worker_shutdown.connect(_end)
signals.worker_process_init.connect(_begin_child)

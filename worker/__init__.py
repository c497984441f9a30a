"""The workers: Celery's wiring, tasks of a few lines, the two pipelines, and the network in memory."""

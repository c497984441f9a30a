"""Keras networks, their training, saliency and releases. Networks only; rows of SQL are tables and records."""

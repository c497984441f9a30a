"""The networks by name: what a card's `network` may say."""

from models import googlenet

NETWORKS = {"googlenet": googlenet}

"""Training: from labelled pictures or phantoms to a release folder."""

"""The domain of cspine: settings, states, decoding, records, triage order, ledger. No Flask, no TensorFlow."""

__version__ = "0.1.0"

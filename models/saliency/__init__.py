"""Saliency methods: one file and one function each, which takes the network as a function."""

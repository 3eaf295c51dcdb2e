"""Corpora, their manifests, and the batches that training draws from them."""

"""Clustering of one recording's x-vectors: FINCH, AHC, spectral, and the self-supervised loop around them.

``systems.cluster_recording`` is the entry: a ``recording.Recording`` and a system (conf/systems/*.yaml) in, labels and
history out. ``ssl`` holds Algorithm 1. Only ``networks`` imports TensorFlow, and only for systems that train.
"""

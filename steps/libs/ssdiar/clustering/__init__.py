"""Clustering of one recording's x-vectors: FINCH, AHC, spectral, and the self-supervised loop around them.

``systems`` is the door: a system's description (conf/systems/*.yaml) and a recording's vectors in, labels and history
out. Only ``networks`` imports TensorFlow, and only for systems that train.
"""

"""Clustering of the x-vectors of one recording: FINCH, AHC, spectral clustering, consensus, and Algorithm 1.

:func:`ssdiar.clustering.systems.cluster_recording` is the entry. Only ``networks`` imports TensorFlow, and only for
systems that train.
"""

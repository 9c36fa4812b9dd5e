"""Self-supervised speaker diarization of telephone calls: the library behind the recipe's stages.

Importing this package, or any module of it, loads nothing slower than NumPy; modules that need SciPy, torch or
TensorFlow say so in their first lines and are imported by the stages that use them.
"""

__version__ = "0.2.0"

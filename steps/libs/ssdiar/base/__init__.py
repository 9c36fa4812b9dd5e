"""The foundation: errors, choices of conf/, and command lines."""

__version__ = "0.3.0"

"""Diarization error rate: our own scorer, the official programs, and the score files of an experiment."""

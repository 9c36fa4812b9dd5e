"""Simulated telephone recordings: real voices, a model of turn taking, telephone lines, an exact reference.

``turns`` says who speaks when (a model, or the times of an RTTM), ``voices`` what is said (stretches of real
recordings), ``casting`` whose voice it is, ``channel`` what the lines do to it, ``corpus`` puts recordings together and
writes data directories.
"""

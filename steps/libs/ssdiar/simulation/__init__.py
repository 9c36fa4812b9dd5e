"""Simulated two-party telephone calls: real voices, a model of turn taking, a telephone line, an exact reference.

``turns`` says who speaks when (a model, or the times of real calls), ``voices`` what is said (stretches of real
recordings), ``channel`` what the line does to it, ``corpus`` puts calls together and writes data directories.
"""

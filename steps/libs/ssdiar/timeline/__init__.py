"""Data with times: regions, segments, turns, sides of a call, and the output of the segmentation network."""

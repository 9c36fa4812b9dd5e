"""Data that has times: sub-segments, turns, and what the segmentation network heard, frame by frame."""

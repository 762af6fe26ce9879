"""Images and codes in numbers: distances, similarities, bits, baselines, statistics."""

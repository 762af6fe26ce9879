"""The product space: images → corruption → encoder → bottleneck → decoder → images, and the objective.

Read in this order: `axes` (the points of every axis), `recipe` (one point of the product), `capabilities`
(which combinations cannot work), `trace` (what one pass leaves), `autoencoder` (the pass), `objective` (the
weighted sum), `file` (the model on disk).
"""

"""One loop for every model.

Read in this order: `config` (what a user asks for), `plan` (what was chosen), `trainer` (the loop), `players`
(which loss moves which weights, and how gradients are computed), `session` (from images to a model file).
"""

"""One loop for every model.

Read in this order: `options` (what a user asks for), `choose` (what follows from the data), `player` (who
minimises what), `run` (the loop), `distributed` (the loop in several processes), `checkpoint` (its state on
disk), `api` (`isthmus.train`).
"""

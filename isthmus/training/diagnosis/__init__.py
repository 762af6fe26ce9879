"""The training doctor: finds what went wrong in a training, or soon will, and suggests a setting for each.

Pure functions of the records of a run: its history (`course`, `rate`), one pass over held-out images
(`observed`, then `units` and `span`), and the last losses before one was no longer a number (`breakdown`).
"""

"""The training doctor: what went wrong in a training, or is about to, each with a setting to try.

Pure functions over what a run leaves behind: its history (`course`, `rate`), one pass over held-out images
(`observed`, then `units` and `span`), and the last losses before one was no longer a number (`breakdown`).
"""

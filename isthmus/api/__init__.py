"""The uses: one function for each, called alike from Python, the command line and every other interface.

This is the only place with defaults, with the policy for training data and outputs, and with result classes.
Modules import torch and NumPy only when a function is called.
"""

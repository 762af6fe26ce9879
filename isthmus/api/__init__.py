"""The uses: one function for each, called in the same way by all interfaces.

This is the only place with defaults, with the policy for training data and outputs, and with result classes.
Modules import torch and NumPy only when a function is called.
"""

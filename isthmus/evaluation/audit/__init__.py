"""Whether images are fit to train and test on: duplicates, leaks, faults, balance, doubtful labels."""

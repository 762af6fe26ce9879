"""Settings chosen by evidence: trainings on the same folds, one line per trial, the best or a front."""

"""The experiment: train, prune, retrain and record. Only this package imports the others."""

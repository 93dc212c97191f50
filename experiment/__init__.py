"""The experiment: train, prune, retrain, record; the only package that joins the others."""

"""The network under study, how it is trained, measured and stored."""

"""The layers that compute, of a network that may hold others."""


def leaves(model):
    """List of the layers of a model and of those nested in it, in order, each once."""
    found = {}
    for layer in model.layers:
        inner = leaves(layer) if hasattr(layer, "layers") else [layer]
        found |= {id(each): each for each in inner}
    return list(found.values())

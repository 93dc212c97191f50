"""List the layers of a network and of the networks nested in it."""


def leaves(model):
    """List of the layers of a model and of its nested models, in order, each layer once."""
    layers = {}
    for layer in model.layers:
        inner = leaves(layer) if hasattr(layer, "layers") else [layer]
        layers |= {id(each): each for each in inner}
    return list(layers.values())

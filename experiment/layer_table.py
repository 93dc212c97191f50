"""The table of one pruning, layer by layer."""


def layer_table(full, pruned):
    """Filters and parameters before and after, one line per layer with weights, then the total.

    Args:
        full: Keras model before pruning.
        pruned: Keras model after it, with the same layer names.

    Returns:
        String of lines, ready to print.
    """
    lines = [("layer", "filters", "parameters")]
    for layer in full.layers:
        small = pruned.get_layer(layer.name)
        if layer.weights:
            filters = _change(layer.filters, small.filters) if hasattr(layer, "filters") else ""
            lines.append((layer.name, filters, _change(layer.count_params(), small.count_params())))
    lines.append(("total", "", _change(full.count_params(), pruned.count_params())))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {filters:>{widths[1]}}  {parameters:>{widths[2]}}"
        for name, filters, parameters in lines
    )


def _change(before, after):
    return f"{before:,} -> {after:,}"

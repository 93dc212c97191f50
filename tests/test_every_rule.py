"""pruning/rules: no rule is without a network that proves it, or a line in docs/networks.md."""

import functools

from keras import layers

from docs import generate
from pruning import groups, rules
from tests import test_rules, test_sequences

WRAPPERS = {layers.TimeDistributed, layers.SpectralNormalization}


@functools.cache
def flows():
    """List of `(layer, its Flow)` of all networks of these tests."""
    network = test_rules.network
    built = [network(build) for build in test_rules.NETWORKS.values()]
    built += [network(build, shape) for shape, build in test_rules.OTHER_DIMENSIONS.values()]
    built += [network(each, test_sequences.STEPS) for each in test_sequences.SEQUENCES.values()]
    built += [network(each, test_sequences.VIDEO) for each in test_sequences.VIDEOS.values()]
    found = map(groups.find, built)
    return [(c.layer, f.channels.flows.get(id(c.layer))) for f in found for c in f.calls]


def test_every_rule_is_in_one_of_these_networks():
    exercised = {type(layer) for layer, _ in flows()}
    exercised |= {type(each.layer) for each, _ in flows() if type(each) in WRAPPERS}
    assert set(rules.RULES) - exercised == {layers.Activation, layers.Lambda}  # have own tests


def rules_of(condition):
    """The rules of the layers whose Flow meets a condition in one of the networks."""
    pairs = [(layer, flow) for layer, flow in flows() if flow and type(layer) not in WRAPPERS]
    return {rules.rule_for(layer) for layer, flow in pairs if condition(flow)}


def test_the_page_about_networks_says_which_layers_are_pruned():
    assert generate.PRUNED == rules_of(
        lambda flow: flow.filters and (flow.filters.prunable or flow.filters.on_vectors)
    )


def test_the_page_about_networks_says_which_layers_keep_channels():
    keep = rules_of(lambda flow: flow.not_prunable)
    only_read = rules_of(lambda flow: flow.filters and not flow.filters.prunable)
    assert generate.STAYING <= keep
    assert generate.READING <= keep | only_read

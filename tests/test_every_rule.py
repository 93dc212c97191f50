"""pruning/rules: no rule is without a network that proves it."""

from keras import layers

from pruning import graph, rules
from tests import test_rules, test_sequences


def test_every_rule_is_in_one_of_these_networks():
    network = test_rules.network
    built = [network(build) for build in test_rules.NETWORKS.values()]
    built += [network(build, shape) for shape, build in test_rules.OTHER_DIMENSIONS.values()]
    built += [network(each, test_sequences.STEPS) for each in test_sequences.SEQUENCES.values()]
    built += [network(each, test_sequences.VIDEO) for each in test_sequences.VIDEOS.values()]
    called = [call.layer for model in built for call in graph.trace(model).calls]
    exercised = {type(each) for each in called}
    exercised |= {type(each.layer) for each in called if isinstance(each, layers.TimeDistributed)}
    assert set(rules.RULES) - exercised == {layers.Activation, layers.Lambda}  # have own tests

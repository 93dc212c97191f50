"""How many filters go, as `prune` takes it: the arguments, checked."""

import math
import numbers
from typing import NamedTuple, TypedDict

from pruning.ranking import COMBINE

COUPLED = ("joint", "shortcut", "skip")
UNSUPPORTED = ("keep", "error")
DEFAULT_COMBINE = "sum"
RANKINGS = ("uniform", "global")
TARGETS = ("macs", "parameters", "bytes")
KEEP = 0.1  # part of its units that each group keeps at least if all units are ranked together


class Options(TypedDict, total=False):
    """The arguments of `prune` that say how many filters go, as `stages` and others take them."""

    layer_ratios: dict[str, float] | None
    coupled: str
    dense: bool
    combine: str
    round_to: int
    ranking: str | tuple
    keep: float
    unsupported: str


class Target(NamedTuple):
    """A size to reach.

    Attributes:
        what: one of `TARGETS`.
        amount: the largest size: bytes, or for the others a part of the full network's, 0..1.
    """

    what: str
    amount: float


class Request(NamedTuple):
    """How many filters go, as `prune` takes it.

    Attributes:
        ratio: part of the filters to remove, 0 <= ratio < 1; 0 if there is a target.
        layer_ratios: `{layer name or glob: ratio}` for layers with another ratio.
        coupled: what happens to groups of several convolutions, one of `COUPLED`.
        dense: whether hidden Dense layers on vectors are pruned, too.
        combine: how the scores of the filters of a unit make its score, one of `ranking.COMBINE`.
        round_to: every group keeps a multiple of so many filters, or all that it has.
        target: Target to reach, or None if the ratio is given.
        ranking: `"uniform"`: all groups lose the same part; `"global"`: all units are ranked
            against each other; or the result of `sensitivity.analyse`: units go where they cost
            least.
        keep: if not `"uniform"`, the part of its units that each group keeps at least.
        unsupported: what happens to filters whose channels reach what no rule fits, one of
            `UNSUPPORTED`.
        full: `{key of a group: number of its units}` of the network before earlier prunings, whose
            filters are counted; None to count those of the network itself.
    """

    ratio: float
    layer_ratios: dict
    coupled: str
    dense: bool
    combine: str
    round_to: int
    target: Target | None
    ranking: str | tuple
    keep: float
    unsupported: str
    full: dict | None = None


def request(
    ratio=None,
    layer_ratios=None,
    coupled="joint",
    *,
    dense=False,
    combine=DEFAULT_COMBINE,
    round_to=1,
    ranking="uniform",
    keep=KEEP,
    unsupported="keep",
    macs=None,
    parameters=None,
    bytes=None,
    full=None,
):
    """The arguments as a Request; `full` is the groups.Structure of the full network, or None.

    Raises:
        ValueError: `prune` does not take such an argument.
    """
    if coupled not in COUPLED:
        raise ValueError(f"coupled: expected {', '.join(COUPLED)}, got {coupled!r}")
    if unsupported not in UNSUPPORTED:
        raise ValueError(f"unsupported: expected {' or '.join(UNSUPPORTED)}, got {unsupported!r}")
    if combine not in list(COMBINE):
        raise ValueError(f"combine: expected {', '.join(COMBINE)}, got {combine!r}")
    if ranking not in RANKINGS and not _are_sensitivities(ranking):
        raise ValueError(
            f"ranking: expected {', '.join(RANKINGS)} or the result of sensitivity.analyse, got "
            f"{ranking!r}"
        )
    if not isinstance(keep, numbers.Real) or not 0 <= keep <= 1:
        raise ValueError(f"keep: expected a number from 0 to 1, got {keep!r}")
    if not isinstance(round_to, numbers.Integral) or round_to < 1:
        raise ValueError(f"round_to: expected a whole number from 1, got {round_to!r}")
    layer_ratios = {} if layer_ratios is None else layer_ratios
    if not isinstance(layer_ratios, dict) or not all(isinstance(p, str) for p in layer_ratios):
        raise ValueError(
            f"layer_ratios: expected {{layer name or glob: ratio}}, got {layer_ratios!r}"
        )
    target = _target(ratio=ratio, macs=macs, parameters=parameters, bytes=bytes)
    ratio = 0 if target else ratio
    for value in (ratio, *layer_ratios.values()):
        count_removed(1, value)  # raises if out of range, also if no layer uses the ratio
    if full and (target or ranking != "uniform"):
        raise ValueError(
            "full: expected a ratio and ranking='uniform' with it, got a target or another "
            "ranking; find the ratio of the full network with target_ratio, then give "
            "parts of it"
        )
    return Request(
        ratio,
        layer_ratios,
        coupled,
        dense,
        combine,
        round_to,
        target,
        ranking,
        keep,
        unsupported,
        full and units(full),
    )


def step(wanted: Request, structure, number, steps):
    """The Request of one of several equal steps to another Request.

    Args:
        wanted: Request of the last step.
        structure: groups.Structure of the full network.
        number: of the step, from 1.
        steps: their number. The part is exactly 1 at the end, and so are the ratios those wanted.
    """
    part = number / steps
    ratios = {pattern: ratio * part for pattern, ratio in wanted.layer_ratios.items()}
    return wanted._replace(ratio=wanted.ratio * part, layer_ratios=ratios, full=units(structure))


def count_removed(filters, ratio):
    """Number of filters to remove: `ceil(ratio * filters)`, but at least one filter stays.

    Only rounding up reproduces the numbers of Li et al. 2017, table 1.

    Raises:
        ValueError: the ratio is out of range.
    """
    if not isinstance(ratio, numbers.Real) or not 0 <= ratio < 1:
        raise ValueError(
            f"ratio: expected a number from 0 up to, but not including, 1, got {ratio!r}"
        )
    # rounded first, because 0.07 * 100 is 7.000000000000001 in binary
    return min(math.ceil(round(ratio * filters, 6)), filters - 1)


def units(structure):
    """`{key of a group: number of its units}`; the key stays the same if the group gets smaller."""
    return {key(group): len(group.units) for group in structure.groups}


def key(group):
    """What names a group: its layers, each with the number of its filters in a unit."""
    paths = [member.call.path for member in group.members]
    return bool(group.not_prunable), *zip(paths, group.filters, strict=True)


def _are_sensitivities(ranking):
    """Whether it is `(accuracy, list of rows)`, as `sensitivity.analyse` returns it."""
    if not isinstance(ranking, tuple) or len(ranking) != 2:
        return False
    accuracy, rows = ranking
    return isinstance(accuracy, numbers.Real) and isinstance(rows, list)


def _target(**amounts):
    """The Target, or None if a ratio is given; exactly one of the amounts is not None."""
    given = {name: amount for name, amount in amounts.items() if amount is not None}
    if len(given) != 1:
        raise ValueError(
            f"ratio: expected exactly one of {', '.join(amounts)}, got "
            f"{' and '.join(given) or 'none'}"
        )
    ((what, amount),) = given.items()
    if what == "ratio":
        return None
    number = isinstance(amount, numbers.Real)
    if what == "bytes" and not (number and amount > 0):
        raise ValueError(f"bytes: expected a number above 0, got {amount!r}")
    if what != "bytes" and not (number and 0 < amount <= 1):
        raise ValueError(f"{what}: expected a number above 0, at most 1, got {amount!r}")
    return Target(what, amount)

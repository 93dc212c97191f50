"""Train a network, remove its least important filters, retrain; parameters against accuracy.

    python3 formal.py fashion 0.001 128 35 30 0.4

Li et al. 2017, Pruning Filters for Efficient ConvNets, by default on SCNNB of Lei et al. 2020.
"""

import io
import os
import signal
import sys

import data
from experiment import arguments, settings, signals
from experiment.backend import import_keras
from experiment.errors import as_the_users, in_one_line, is_the_users


def main():
    """Run the command line; returns the exit status.

    0 done, 2 wrong arguments, 1 anything else; 128 and its number if a signal ended the run.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))
    # `tail -f` follows a redirected run; a letter that the terminal lacks is written as its code
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    came = []

    def stop(number, frame):
        came.append(number)
        raise KeyboardInterrupt

    try:
        with signals.handled(stop):
            with signals.handled(signals.end_at_once):  # an import may swallow an exception
                given, options = arguments.parse(sys.argv[1:])
                import_keras(gpus=not options.ray)  # with --ray they are the trials'
            experiment(given, options)
    except (KeyboardInterrupt, Exception) as error:
        if came or isinstance(error, KeyboardInterrupt):  # on its way it may become another
            return signals.stopped(*came[:1] or [signal.SIGINT])
        if not is_the_users(error):
            raise
        print(f"formal.py: {in_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def experiment(given, options):
    """Load, build, refuse what cannot be done; then every trial, or each layer's sensitivity."""
    # the one late import of Keras: it takes seconds, and wrong arguments are answered at once
    from experiment import curve, networks, preflight, progress, sensitivities
    from experiment.study import study

    preflight.check_machine(options, given)
    with as_the_users(OSError, ValueError, NotImplementedError):
        dataset = data.load(given["dataset"]).between(given["pixels"])
    print(
        f"{dataset.name}: {len(dataset.train_labels):,} training and {len(dataset.test_labels):,} "
        f"test images {dataset.image_shape}, {dataset.num_classes} classes"
    )
    network = networks.build(given["model"], dataset)
    if given["trained"]:
        networks.warn_of_pixels(network, dataset, given)
    content = networks.content(dataset, network, given["model"])
    trials = study(settings.grid(given, dataset=dataset.name, content=content))
    if options.sensitivity:
        sensitivities.check(network, given["coupled"])
        sensitivities.analyse(trials, dataset, given, options)
        return
    sizes = preflight.sizes(network, trials)
    del network  # each baseline is built again, and this one would stay in memory
    if options.dry_run:
        progress.show(trials, sizes)
    else:
        curve.draw(trials, sizes, dataset, given["model"], options)


if __name__ == "__main__":
    signals.end(main())

"""Train a network, remove its least important filters, retrain it, and record its accuracy.

    python3 formal.py fashion 0.001 128 35 30 0.4

The method is that of Li et al. 2017, Pruning Filters for Efficient ConvNets. By default, the
network is SCNNB of Lei et al. 2020.
"""

import io
import os
import signal
import sys

import data
from experiment import arguments, custom, grid, signals
from experiment.backend import import_keras
from experiment.errors import as_the_users, in_one_line, is_the_users


def main():
    """Run the command line; returns the exit status.

    It is 0 if the run is done, 2 if an argument is wrong, 1 after another error, and 128 plus the
    number of the signal if a signal ended the run.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))
    # write every line at once, for `tail -f`; write the code of a letter that the terminal lacks
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    numbers = []  # of the signals

    def stop(number, frame):
        numbers.append(number)
        raise KeyboardInterrupt

    try:
        with signals.handled(stop):
            with signals.handled(signals.end_at_once):  # an import may swallow an exception
                given, options = arguments.parse(sys.argv[1:])
                import_keras(gpus=not options.ray)  # with --ray, only the trials use GPUs
            with custom.loaded(options.custom):
                experiment(given, options)
    except (KeyboardInterrupt, Exception) as error:
        # other code may have replaced the KeyboardInterrupt by another error
        if numbers or isinstance(error, KeyboardInterrupt):
            return signals.stopped(*numbers[:1] or [signal.SIGINT])
        if not is_the_users(error):
            raise
        print(f"formal.py: {in_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def experiment(given, options):
    """Load the dataset, build the network, check both, and run the trials or the sensitivity."""
    # imported late, because Keras takes seconds: errors in arguments must be reported at once
    from experiment import curve, networks, preflight, progress, sensitivities
    from experiment.study import study

    preflight.check_machine(options, given)
    with as_the_users(OSError, ValueError, NotImplementedError):
        dataset = data.load(given["dataset"]).between(given["pixels"])
    print(
        f"{dataset.name}: {len(dataset.train_labels):,} training and {len(dataset.test_labels):,} "
        f"test images {dataset.image_shape}, {dataset.num_classes} classes"
    )
    preflight.check_validation(dataset, given["validation"])
    network = networks.build(given["model"], dataset, given["normalize"])
    if given["trained"]:
        networks.warn_of_pixels(network, dataset, given)
    content = networks.content(dataset, network, given["model"], options.custom)
    preflight.check_scores(network, dataset, given, options)
    trials = study(grid.trials(given, dataset=dataset.name, content=content))
    if options.sensitivity:
        sensitivities.check(network, given, options.unsupported)
        sensitivities.analyse(trials, dataset, given, options)
        return
    if options.recalibrate:
        preflight.check_recalibration(network, given)
    sizes = preflight.sizes(network, trials, given, options.unsupported)
    del network  # frees its memory; each baseline builds its own
    if options.dry_run:
        progress.show(trials, sizes)
    else:
        curve.draw(trials, sizes, dataset, given["model"], options)


if __name__ == "__main__":
    signals.end(main())

"""Lines that say what came of a trial."""


def in_words(row):
    """A row of the CSV in words."""
    accuracies = (
        f"{row['pruned_accuracy']:.4f} right after pruning, {row['accuracy']:.4f} after retraining"
    )
    if row.get("control"):
        accuracies = f"{row['accuracy']:.4f} trained from new weights"
    return (
        f"{row['baseline_parameters']:,} -> {row['parameters']:,} parameters, test accuracy "
        f"{row['baseline_accuracy']:.4f} baseline, {accuracies}"
    )


def epochs(number):
    """A number of epochs in words."""
    return f"{number} epoch" if number == 1 else f"{number} epochs"


def duration(seconds):
    """A time in words, rounded to minutes and from an hour on to ten of them."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min"
    hours, tens = divmod(round(minutes / 10), 6)
    return f"about {hours} h {10 * tens} min" if tens else f"about {hours} h"

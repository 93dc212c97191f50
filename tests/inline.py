"""A cluster without Ray, for tests of what a cluster is asked to do."""

import contextlib
import io


class Cluster(contextlib.nullcontext):
    """An `experiment.cluster.Cluster` that runs each call at once in this process."""

    places = 1

    def __init__(self, dying="no call"):
        """Take the end of the names of calls that die."""
        super().__init__(self)
        self.dying, self.ended = dying, []

    @property
    def full(self):
        """Whether the result of a call was not asked for yet."""
        return bool(self.ended)

    def put(self, value):
        """Return the value itself."""
        return value

    def submit(self, name, function, *arguments):
        """Call the function; what it prints is not seen, as that of a node."""
        died = name.endswith(self.dying)
        with contextlib.redirect_stdout(io.StringIO()):
            result = None if died else function(*arguments, tell=lambda line: None)
        self.ended.append((name, result, "the worker died; sorry" if died else None))

    def finished(self):
        """Return the results of the last calls."""
        ended, self.ended = self.ended, []
        return ended

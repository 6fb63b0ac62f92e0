"""The register of scenarios: a decorated function (lab) -> Result is one row of the table, in the order of registration."""
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Scenario:
    name: str            # on the command line
    row: str             # what happens, as the table says it
    best: str            # what the best forwarder known so far shows
    goal: str            # what dotrelay is to show, in words; the function checks it
    run: Callable
    peers: bool          # whether it can be played to any forwarder


REGISTER = {}


def scenario(name, row, goal, best="-", peers=False):
    """Registers the function below as a scenario."""
    def register(function):
        assert name not in REGISTER, f"two scenarios named {name}"
        REGISTER[name] = Scenario(name, row, best, goal, function, peers)
        return function
    return register

"""The faults that are played to other forwarders (support.peers), and their table."""
from results import COLUMNS, cells
from support.documents import markdown_table
from support.peers import PEERS

# Clients of the scenarios ask over UDP, too, which a byte relay has not.
FORWARDERS = {name: peer for name, peer in PEERS.items() if "udp" in peer.transports}


def play_all(scenarios, only, play):
    """{scenario: {peer's name: Result or text}} of all forwarders, or of those that `only` names."""
    names = only.split(",") if only else list(FORWARDERS)
    return {scenario: {name: play(scenario, FORWARDERS[name]) for name in names} for scenario in scenarios}


def table(by_peer):
    names = list(next(iter(by_peer.values()), {}))
    configured = "\n".join(f"- {name} {FORWARDERS[name].version()}: {FORWARDERS[name].configured()}" for name in names)
    rows = [(scenario.row, name, *cells(one)) for scenario, played in by_peer.items() for name, one in played.items()]
    return configured + "\n\n" + markdown_table(("scenario", "forwarder", *COLUMNS), rows)

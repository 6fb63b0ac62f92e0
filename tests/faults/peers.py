"""Other forwarders from Debian in the relay's place, each configured as a fair operator would for two DoT upstreams."""
import results

PEERS = {}


def play_all(scenarios, only, play):
    """{scenario: {peer's name: Result or text}} of all peers, or of those that `only` names."""
    names = only.split(",") if only else list(PEERS)
    return {scenario: {name: play(scenario, PEERS[name]) for name in names} for scenario in scenarios}


def table(by_peer):
    names = list(next(iter(by_peer.values()), {}))
    rows = [(scenario.row, *[one.measured() if isinstance(one, results.Result) else one for one in played.values()])
            for scenario, played in by_peer.items()]
    return results.markdown_table(("scenario", *names), rows)

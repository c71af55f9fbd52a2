"""The launcher's command line, told which hosts there are instead of asking EC2; runs under Python 2.7 and 3.

Arguments: a JSON file {"launcher", "user", "key", "known_hosts", "nodes": [[alias, address, port, private address], ...]}, then
the launcher's own.
"""

import json
import runpy
import sys


def main():
    with open(sys.argv[1]) as stream:
        known = json.load(stream)
    sys.path.insert(0, known["launcher"])
    import cluster
    import remote

    def hosts_of(settings):
        access = remote.Access(known["user"], known["key"], known["known_hosts"])
        return cluster.Hosts(access, [remote.Node(*node) for node in known["nodes"]])

    cluster.hosts_of = hosts_of
    del sys.argv[1]
    sys.path.pop(0)  # runpy puts it there again
    runpy.run_path(known["launcher"], run_name="__main__")


if __name__ == "__main__":
    main()

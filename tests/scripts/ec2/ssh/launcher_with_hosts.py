"""The launcher's command line, told which hosts there are instead of asking EC2; runs under Python 2.7 and 3.

Arguments: a JSON file {"launcher", "user", "key", "known_hosts", "nodes": [[alias, address, port, private address], ...]}, then
the launcher's own.
"""

import json
import runpy
import sys


def main():
    with open(sys.argv[1]) as stream:
        cluster = json.load(stream)
    sys.path.insert(0, cluster["launcher"])
    import fleet
    import remote

    def of_cluster(settings):
        access = remote.Access(cluster["user"], cluster["key"], cluster["known_hosts"])
        return fleet.Fleet(access, [remote.Node(*node) for node in cluster["nodes"]])

    fleet.of_cluster = of_cluster
    del sys.argv[1]
    sys.path.pop(0)  # runpy puts it there again
    runpy.run_path(cluster["launcher"], run_name="__main__")


if __name__ == "__main__":
    main()

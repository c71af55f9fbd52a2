"""Fetches from a host that lies, once for each lie; runs under Python 2.7 and 3.

Arguments: the launcher's folder, user, key, known_hosts, port, the host's home, a folder with a folder for each lie, and one for
what comes. What the lie's folder has (`list`, `archive`) goes to the host's home, where its find and tar take it from. Prints
{lie: [files, problems] or the error} as JSON.
"""

import json
import os
import shutil
import sys


def main():
    launcher, user, key, known_hosts, port, home, lies, output = sys.argv[1:]
    sys.path.insert(0, launcher)
    import execution
    import fetch
    import members
    import remote
    from errors import LauncherError

    members.MOST_GROWTH = 1000
    said = {}
    access = remote.Access(user, key, known_hosts)
    remote.HEARTBEAT_SECONDS = 0.2
    for lie in sorted(os.listdir(lies)):
        execution.SILENCE_SECONDS = 1.0 if lie.startswith("slow") else 20.0
        for name in ("list", "archive"):
            path = os.path.join(lies, lie, name)
            if os.path.exists(path):
                shutil.copy(path, os.path.join(home, name))
        with access.connect(remote.Node("ps", "127.0.0.1", int(port), "10.0.0.1")) as connection:
            try:
                fetched = fetch.fetch(connection, "byzshield/runs", [], os.path.join(output, lie), 20.0)
                said[lie] = [fetched.files, fetched.problems]
            except LauncherError as error:
                said[lie] = str(error)
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()

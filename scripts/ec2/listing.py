"""What there is: hosts."""

from __future__ import absolute_import, print_function, unicode_literals

import hostfile
import provision


def add_hosts_arguments(parser):
    parser.add_argument("--output", default=".", metavar="DIR", help="folder for the three files (default: the current one)")


def hosts(settings, arguments):
    for path in hostfile.write(provision.cluster_hosts(settings), arguments.output):
        print(path)
    return 0

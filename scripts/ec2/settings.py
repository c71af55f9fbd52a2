"""configs/clusters/NAME.json, read and checked: whatever can be wrong in it is said here, by its dotted key."""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import difflib
import io
import json
import os

import checks
from errors import RequestError

REQUIRED = object()
UBUNTU = "ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
EFS_OPTIONS = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport"  # as AWS recommends
SECONDS = checks.whole(1, 86400)


class Section(object):
    """A table of keys. An optional one is null unless it is given."""

    def __init__(self, *keys, **options):
        self.keys = collections.OrderedDict((key[0], key[1:]) for key in keys)
        self.optional = options.get("optional", False)


SCHEMA = Section(
    ("name", None, checks.CLUSTER_NAME),
    ("region", REQUIRED, checks.REGION),
    ("profile", None, checks.optional(checks.LINE)),
    ("endpoint_url", None, checks.optional(checks.SAFE_URL)),
    ("availability_zone", None, checks.optional(checks.ZONE)),
    ("subnet", None, checks.optional(checks.SUBNET)),
    ("image", UBUNTU, checks.IMAGE),
    ("ssh_user", "ubuntu", checks.USER),
    ("ssh_port", 22, checks.whole(1, 65535)),
    ("ssh_from", "auto", checks.SSH_SOURCE),
    ("check_address_url", "https://checkip.amazonaws.com", checks.SAFE_URL),
    ("address", "public", checks.one_of("public", "private")),
    ("market", "spot", checks.one_of("spot", "on-demand")),
    ("max_price", None, checks.optional(checks.PRICE)),
    (
        "server",
        Section(
            ("market", "on-demand", checks.one_of("spot", "on-demand")),
            ("instance_type", "c6i.2xlarge", checks.INSTANCE_TYPE),
            ("disk_gib", 40, checks.whole(1, 16384)),
        ),
    ),
    (
        "workers",
        Section(
            ("count", REQUIRED, checks.whole(1, 1000)),
            ("instance_type", "c6i.xlarge", checks.INSTANCE_TYPE),
            ("disk_gib", 30, checks.whole(1, 16384)),
        ),
    ),
    ("max_hours", 48, checks.optional(checks.whole(1, 8760))),
    ("idle_minutes", 60, checks.optional(checks.whole(10, 10080))),
    ("prices", {}, checks.PRICES),
    (
        "node",
        Section(
            ("directory", "byzshield", checks.FOLDER),
            ("packages", ["python3-venv", "rsync", "nfs-common"], checks.list_of(checks.PACKAGE)),
            ("python", "python3", checks.WORD),
            ("requirements", "requirements-remote.txt", checks.FOLDER),
            ("lock", None, checks.optional(checks.LINE)),
            ("torch_index", None, checks.optional(checks.PACKAGE_INDEX)),
            ("wheels", None, checks.optional(checks.LINE)),
        ),
    ),
    (
        "file_system",
        Section(
            ("source", REQUIRED, checks.MOUNT_SOURCE),
            ("mount_point", REQUIRED, checks.MOUNT_POINT),
            ("type", "nfs4", checks.MOUNT_TYPE),
            ("options", EFS_OPTIONS, checks.MOUNT_OPTIONS),
            optional=True,
        ),
    ),
    (
        "job",
        Section(
            ("run_file", "configs/runs/quickstart.toml", checks.LINE),
            ("flags", [], checks.list_of(checks.LINE)),
            ("watch_interruptions", True, checks.BOOLEAN),
            ("ranks_per_host", None, checks.optional(checks.whole(1, 1024))),
            ("ranks", None, checks.optional(checks.whole(2, 100000))),
            ("network", None, checks.optional(checks.NETWORK)),
            ("restarts", None, checks.optional(checks.whole(0, 1000))),
        ),
    ),
    (
        "deadlines",
        Section(
            ("launch", 600, SECONDS),
            ("ssh", 300, SECONDS),
            ("setup", 1800, SECONDS),
            ("command", 600, SECONDS),
            ("job_stop", 180, SECONDS),
            ("look", 5, checks.whole(0, 3600)),
        ),
    ),
)


def read(path):
    """The settings in a file: attributes as in the file, settings.workers.count for {"workers": {"count": ...}}.

    Raises:
        RequestError: no such file, not JSON, or a key that is unknown, missing or wrong.
    """
    try:
        with io.open(path, encoding="utf-8") as stream:
            table = json.loads(stream.read(), object_pairs_hook=_without_repetition)
    except (IOError, OSError) as error:
        raise RequestError("{}: {}; copy configs/clusters/example.json and edit it".format(path, error.strerror))
    except ValueError as error:
        raise RequestError("{}: not JSON: {}".format(path, error))
    return from_table(table, path)


def from_table(table, path):
    """The settings in a table; the path gives the name where the table does not, and begins every error."""
    if isinstance(table, dict) and "name" not in table:
        table = dict(table, name=os.path.splitext(os.path.basename(path))[0])
    return _section("Settings", SCHEMA, table, "", path)


def _section(kind, section, table, prefix, path):
    if not isinstance(table, dict):
        raise RequestError("{}: {} must be a table {{...}}".format(path, prefix.rstrip(".") or "the file"))
    for key in sorted(table):
        if key not in section.keys:
            near = difflib.get_close_matches(key, section.keys, 1)
            known = 'did you mean "{}{}"?'.format(prefix, near[0]) if near else "known are {}".format(", ".join(section.keys))
            raise RequestError("{}: unknown key {}{}; {}".format(path, prefix, key, known))
    values = [_value(name, rule, table, prefix, path) for name, rule in section.keys.items()]
    return collections.namedtuple(kind, list(section.keys))(*values)


def _value(name, rule, table, prefix, path):
    dotted = prefix + name
    if isinstance(rule[0], Section):
        if rule[0].optional and table.get(name) is None:
            return None
        return _section(name, rule[0], table.get(name, {}), dotted + ".", path)
    default, check = rule
    value = table.get(name, default)
    if value is REQUIRED:
        raise RequestError("{}: {} is missing: {}".format(path, dotted, check.meaning))
    if not check.accepts(value):
        raise RequestError("{}: {} must be {}; got {}".format(path, dotted, check.meaning, json.dumps(value)))
    return value


def _without_repetition(pairs):
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError("{} is given twice".format(next(name for name in names if names.count(name) > 1)))
    return table

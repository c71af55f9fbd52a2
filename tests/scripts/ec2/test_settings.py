"""The cluster's configuration: what is accepted, and the line that says what is wrong."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from launcher import LAUNCHER, PYTHONS, REPOSITORY, run_launcher

from byzshield.config import load

GOOD: dict[str, Any] = {"region": "us-east-1", "workers": {"count": 3}}

WRONG = {
    "an unknown key suggests the nearest": ({"regin": "x"}, 'unknown key regin; did you mean "region"?'),
    "an unknown key in a section has its path": ({"workers": {"cuont": 3}}, 'workers.cuont; did you mean "workers.count"?'),
    "a missing key": ({"workers": {}}, "workers.count is missing: a whole number from 1 to 1000"),
    "a count in words": ({"workers": {"count": "three"}}, 'workers.count must be a whole number from 1 to 1000; got "three"'),
    "a count of true": ({"workers": {"count": True}}, "workers.count must be a whole number from 1 to 1000; got true"),
    "no workers": ({"workers": {"count": 0}}, "workers.count must be a whole number from 1 to 1000; got 0"),
    "a section that is none": ({"job": 5}, "job must be a table {...}"),
    "a region that is none": ({"region": "Mars"}, 'region must be an AWS region such as "us-east-1"; got "Mars"'),
    "a zone instead of a region": (
        {"region": "us-east-1a"},
        'region must be an AWS region such as "us-east-1"; got "us-east-1a"',
    ),
    "a market that is none": ({"market": "black"}, 'market must be "spot" or "on-demand"; got "black"'),
    "ssh from the whole world": ({"ssh_from": "0.0.0.0/0"}, "never the whole world"),
    "ssh from the whole IPv6 world": ({"ssh_from": "::/0"}, "never the whole world"),
    "ssh from half of the world": ({"ssh_from": "128.0.0.0/1"}, "never the whole world"),
    "ssh from no network": ({"ssh_from": "home"}, 'ssh_from must be "auto", or a network'),
    "an address asked for in the clear": (
        {"check_address_url": "http://checkip.amazonaws.com"},
        "check_address_url must be a URL that begins with https://",
    ),
    "credentials in the clear": (
        {"endpoint_url": "http://ec2.us-east-1.amazonaws.com"},
        "endpoint_url must be a URL that begins with https:// (http:// goes to this machine alone), or null",
    ),
    "another machine that looks like this one": ({"endpoint_url": "http://localhost@example.com"}, "endpoint_url must be a URL"),
    "a file system that is an option": (
        {"file_system": {"source": "-oexec", "mount_point": "/mnt"}},
        "file_system.source must be what to mount",
    ),
    "a folder above the home": ({"node": {"directory": "../x"}}, "node.directory must be a folder"),
    "the home itself": ({"node": {"directory": "."}}, "node.directory must be a folder"),
    "a package index without a scheme": (
        {"node": {"torch_index": "pytorch/cpu"}},
        "node.torch_index must be a URL that begins with https:// or file:///, or null",
    ),
    "a package with a flag": ({"node": {"packages": ["--allow"]}}, "node.packages must be a list"),
    "a file system without source": ({"file_system": {"mount_point": "/mnt"}}, "file_system.source is missing"),
    "a price of nothing": ({"prices": {"c6i.xlarge": 0}}, "prices must be a table"),
    "a network that is none": ({"job": {"network": "10.0.0.0"}}, 'job.network must be a network such as "10.0.0.0/16", or null'),
    "no hours at all": ({"max_hours": 0}, "max_hours must be a whole number from 1 to 8760, or null; got 0"),
    "less idleness than a setup may take": ({"idle_minutes": 5}, "idle_minutes must be a whole number from 10 to 10080"),
    "a server on no market": ({"server": {"market": None}}, 'server.market must be "spot" or "on-demand"; got null'),
    "a name that is no name": ({"name": "My Cluster"}, "name must be small letters, digits and hyphens"),
    "a name that leaves the folder": ({"name": "../x"}, "name must be small letters, digits and hyphens"),
}


@PYTHONS
def test_a_mistake_is_named_by_its_dotted_key(python: str) -> None:
    lines = (
        "from __future__ import print_function, unicode_literals",
        "import json, sys",
        "sys.path.insert(0, sys.argv[1])",
        "import errors, settings",
        "for table in json.loads(sys.argv[2]):",
        "    try:",
        "        print(settings.from_table(table, 'lab.json'))",
        "    except errors.RequestError as error:",
        "        print(error.args[0])",
    )
    tables = json.dumps([{**GOOD, **change} for change, _ in WRONG.values()])
    result = subprocess.run([python, "-c", "\n".join(lines), str(LAUNCHER), tables], capture_output=True, text=True)

    assert result.stderr == ""
    said = dict(zip(WRONG, result.stdout.splitlines(), strict=True))
    assert {name: said[name] for name, (_, line) in WRONG.items() if line not in said[name]} == {}
    assert {line[: len("lab.json: ")] for line in said.values()} == {"lab.json: "}


@PYTHONS
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "not JSON: "),
        ('{"region": "us-east-1", "region": "us-east-2"}', "region is given twice"),
        ("[]", "the file must be a table {...}"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(python: str, text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    path.write_text(text)

    result = run_launcher(python, "hosts", "--config", str(path))

    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert line in result.stderr


@PYTHONS
def test_a_missing_file_says_which_to_copy(python: str, tmp_path: Path) -> None:
    result = run_launcher(python, "hosts", "--config", str(tmp_path / "none.json"))

    assert result.returncode == 2
    assert "none.json: No such file or directory; copy configs/clusters/example.json and edit it" in result.stderr


@PYTHONS
def test_the_name_must_fit_when_it_is_the_files(python: str, tmp_path: Path) -> None:
    path = tmp_path / "My_Cluster.json"
    path.write_text(json.dumps(GOOD))

    assert 'name must be small letters, digits and hyphens, a letter first, at most 40; got "My_Cluster"' in (
        run_launcher(python, "hosts", "--config", str(path)).stderr
    )


@PYTHONS
def test_what_is_mounted_elsewhere_than_on_nfs_is_accepted(python: str) -> None:
    systems = [
        {"source": "fs-0123.fsx.us-east-1.amazonaws.com@tcp:/fsx", "type": "lustre", "options": "noatime,flock"},
        {"source": "10.0.0.1@tcp,10.0.0.2@tcp:/fsx", "type": "lustre"},
        {"source": "svm-0123.fs-0123.fsx.us-east-1.amazonaws.com:/vol1", "type": "nfs4", "options": "nconnect=16"},
        {
            "source": "me@storage.example.com:data",
            "type": "fuse.sshfs",
            "options": "IdentityFile=/home/ubuntu/.ssh/id,allow_other",
        },
        {"source": "my-bucket:/runs", "type": "fuse.s3fs", "options": "url=https://s3.us-east-1.amazonaws.com"},
        {"source": "fs-0123:/", "type": "efs", "options": "tls"},
        {"source": "/dev/nvme1n1", "type": "ext4", "options": "noatime"},
    ]
    lines = (
        "from __future__ import unicode_literals",
        "import json, sys",
        "sys.path.insert(0, sys.argv[1])",
        "import settings",
        "for system in json.loads(sys.argv[2]):",
        "    table = {'region': 'us-east-1', 'workers': {'count': 3}, 'file_system': dict(system, mount_point='/mnt/x')}",
        "    read = settings.from_table(json.loads(json.dumps(table)), 'lab.json').file_system",
        "    assert (read.source, read.type) == (system['source'], system['type'])",
    )
    command = [python, "-c", "\n".join(lines), str(LAUNCHER), json.dumps(systems)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")


@PYTHONS
@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs" / "clusters").glob("*.json")), ids=lambda path: path.stem)
def test_the_examples_are_good_configurations(python: str, path: Path) -> None:
    lines = (
        "from __future__ import print_function, unicode_literals",
        "import json, sys",
        "sys.path.insert(0, sys.argv[1])",
        "import console, settings",
        "example = settings.read(*console.words_of(sys.argv[2:]))",
        "print(json.dumps([example.name, example.job.run_file, example.job.flags, example.image]))",
    )
    result = subprocess.run(
        [python, "-c", "\n".join(lines), str(LAUNCHER), str(path)], capture_output=True, text=True, check=False
    )

    assert result.stderr == ""
    name, run_file, flags, image = json.loads(result.stdout)
    assert name == path.stem
    assert flags[::2] == ["--set"] * (len(flags) // 2)
    load(REPOSITORY / run_file, flags[1::2])
    assert "x86_64" in image or "amd64" in image

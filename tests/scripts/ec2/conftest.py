"""A cluster's configuration in an EC2 of its own, for the launcher under each Python."""

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cloud import Cluster, Front, Moto
from launcher import PYTHON2


@pytest.fixture
def python(request: pytest.FixtureRequest) -> str:
    """The launcher's Python in a test that is not marked PYTHONS: one half of them runs under 2.7, the other under this one."""
    return str(PYTHON2) if zlib.crc32(request.node.name.encode()) % 2 and PYTHON2.exists() else sys.executable


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """The one moto server of all tests."""
    server = Moto(tmp_path_factory.mktemp("moto") / "log")
    yield server
    server.stop()


@pytest.fixture
def front(moto: Moto) -> Iterator[Front]:
    """An empty EC2, and the server in front of it."""
    moto.reset()
    made = Front(moto)
    yield made
    made.stop()


@pytest.fixture
def client(moto: Moto, front: Front) -> Iterator[Any]:
    """The test's own client, past the front."""
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    own = session.client("ec2", endpoint_url=f"http://127.0.0.1:{moto.port}")
    yield own
    own.close()


@pytest.fixture
def cluster(python: str, tmp_path: Path, front: Front, client: Any) -> Cluster:
    """Three slots, ps, worker1 and worker2, for the launcher under `python`."""
    return Cluster(python, tmp_path, front, client)

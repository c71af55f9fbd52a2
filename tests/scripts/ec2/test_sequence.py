"""clean-launch-and-train: one command for what are four, that says where it stopped."""

from cloud import Cluster
from launcher import names_of_a_command


@names_of_a_command("clean-launch-and-train", "clean_launch_and_run")
def test_a_new_cluster_takes_the_place_of_the_old_one(cluster: Cluster, name: str) -> None:
    cluster.run("launch", "--yes")
    before = cluster.slots()
    cluster.configure(deadlines={"launch": 20, "ssh": 1})  # nobody answers at the addresses that moto makes up

    result = cluster.run(name, "--yes", status=1)

    after = cluster.slots()
    assert sorted(after) == ["0", "1", "2"]
    assert not set(before.values()) & set(after.values())
    assert "stopped in setup; to go on from there: setup, then train; `terminate` ends what is paid for" in result.stderr


def test_what_cannot_be_launched_or_trained_is_named_before_anything_is_deleted(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    before = cluster.slots()

    result = cluster.run("clean-launch-and-train", "nowhere.toml", "--yes", status=2)

    assert "nowhere.toml: no such file here" in result.stderr
    cluster.configure(image="ami-00000000")
    assert "image ami-00000000" in cluster.run("clean-launch-and-train", "--yes", status=2).stderr
    assert cluster.slots() == before


def test_nothing_is_deleted_unasked(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    before = cluster.slots()

    assert "give --yes" in cluster.run("clean-launch-and-train", status=2).stderr

    assert cluster.slots() == before

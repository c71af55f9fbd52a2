"""status, list-running, list-idle and hosts: what there is, and what it costs."""

import json

import pytest
from cloud import UBUNTU, Cluster
from launcher import PYTHONS, names_of_a_command


@PYTHONS
def test_hosts_writes_the_three_files_parameter_server_first(cluster: Cluster) -> None:
    cluster.configure(workers={"count": 11})
    cluster.run("launch", "--yes")
    folder = cluster.folder / "out"

    result = cluster.run("hosts", "--output", str(folder))

    assert result.stdout.split() == [str(folder / name) for name in ("hosts", "hosts_alias", "hosts_address")]
    aliases = ["ps", *(f"worker{index}" for index in range(1, 12))]
    addresses = {i["InstanceId"]: i["PrivateIpAddress"] for i in cluster.instances()}
    expected = [addresses[cluster.slots()[str(index)]] for index in range(12)]
    assert (folder / "hosts_alias").read_text().splitlines() == aliases
    assert (folder / "hosts_address").read_text().splitlines() == expected
    pairs = [f"{address}\t{alias}" for address, alias in zip(expected, aliases, strict=True)]
    assert (folder / "hosts").read_text().splitlines() == pairs


def test_hosts_says_who_is_missing(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.client.terminate_instances(InstanceIds=[cluster.slots()["1"]])

    result = cluster.run("get_hosts", "--output", str(cluster.folder / "out"))

    assert "not running: worker1; `launch` starts what is missing" in result.stderr
    assert (cluster.folder / "out" / "hosts_alias").read_text() == "ps\nworker2\n"


def test_hosts_of_a_cluster_that_is_not_there_is_one_line(cluster: Cluster) -> None:
    result = cluster.run("hosts", status=1)

    assert result.stderr == "hosts: nothing of the cluster lab runs in us-east-1; `launch` starts what is missing\n"


@PYTHONS
def test_status_shows_every_slot(cluster: Cluster) -> None:
    assert cluster.run("status").stdout.count("missing") == 3
    cluster.run("launch", "--yes")
    cluster.client.terminate_instances(InstanceIds=[cluster.slots()["2"]])
    theirs = [{"Key": "byzshield-id", "Value": "0123456789ab"}, {"Key": "byzshield-owner", "Value": "arn:aws:iam::1:user/eve"}]
    cluster.client.create_tags(Resources=[cluster.slots()["1"]], Tags=theirs)
    cluster.configure(deadlines={"look": 5})

    result = cluster.run("status")

    lines = result.stdout.splitlines()
    assert "not yours: id 0123456789ab, launched by arn:aws:iam::1:user/eve" in result.stderr
    assert "use unknown: ps: no ssh at 127." in result.stderr

    assert lines[0].split()[0] == "ALIAS"
    assert lines[1].split()[:5] == ["ps", cluster.slots()["0"], "c6i.2xlarge", "on-demand", "running"]
    assert lines[3].split()[0] == "worker2"
    assert "missing" in lines[3]
    assert lines[4].startswith("0.5277 USD/h")


@PYTHONS
def test_status_as_json_is_one_document(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.configure(workers={"count": 1})

    document = json.loads(cluster.run("status", "--json").stdout)

    assert (document["cluster"], document["region"]) == ("lab", "us-east-1")
    assert [slot["alias"] for slot in document["slots"]] == ["ps", "worker1"]
    assert [slot["instance_id"] for slot in document["slots"]] == [cluster.slots()["0"], cluster.slots()["1"]]
    assert [item["instance_id"] for item in document["surplus"]] == [cluster.slots()["2"]]
    assert document["price_per_hour"] == pytest.approx(0.68 + 3 * 0.005 + 100 * 0.08 / 730)
    assert {slot["owner"] for slot in document["slots"]} == {"arn:aws:sts::123456789012:user/moto"}


@names_of_a_command("list-running", "list_running_instances")
def test_list_running_shows_this_clusters_running_instances(cluster: Cluster, name: str) -> None:
    cluster.client.run_instances(ImageId=UBUNTU, MinCount=1, MaxCount=1)
    cluster.run("launch", "--yes")
    cluster.client.stop_instances(InstanceIds=[cluster.slots()["1"]])

    head, *lines = cluster.run(name).stdout.splitlines()

    assert head.split() == ["ALIAS", "INSTANCE", "TYPE", "MARKET", "AGE", "ADDRESS", "COST", "SO", "FAR"]
    assert [line.split()[0] for line in lines] == ["ps", "worker2"]
    assert all(line.endswith(" USD") for line in lines)


@names_of_a_command("list-idle", "list_idle_instances")
def test_list_idle_shows_what_is_paid_for_and_not_in_use(cluster: Cluster, name: str) -> None:
    cluster.run("launch", "--yes")
    first = cluster.slots()
    assert len(cluster.run(name).stdout.splitlines()) == 1
    cluster.configure(workers={"count": 1})
    cluster.client.stop_instances(InstanceIds=[first["1"]])
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "byzshield-cluster", "Value": "forgotten"}]}]
    other = cluster.client.run_instances(ImageId=UBUNTU, MinCount=1, MaxCount=1, TagSpecifications=tags)["Instances"][0]
    cluster.client.run_instances(ImageId=UBUNTU, MinCount=1, MaxCount=1)

    lines = [line.split() for line in cluster.run(name).stdout.splitlines()[1:]]

    assert [(line[0], line[2]) for line in lines] == [
        ("forgotten", other["InstanceId"]),
        ("lab", first["1"]),
        ("lab", first["2"]),
    ]
    assert lines[1][-2:] == ["0.0033", "USD/h"]
    assert lines[2][-2:] == ["0.1783", "USD/h"]
    assert lines[2][-3] == "arn:aws:sts::123456789012:user/moto"


def test_the_price_list_goes_before_the_configurations_prices(cluster: Cluster) -> None:
    cluster.front.prices = {"c6i.2xlarge": 0.5, "c6i.xlarge": 0.25}
    cluster.configure(prices={"gp3": 7.3, "address": 1.0})

    assert "in all 5.0000 USD/h" in cluster.run("launch", "--dry-run").stdout

    asked = [form for action, form in cluster.front.calls if action == "GetProducts"]
    assert {form["regionCode"] for form in asked} == {"us-east-1"}
    assert {form["operatingSystem"] for form in asked} == {"Linux"}


def test_a_price_that_nobody_knows_is_called_unknown(cluster: Cluster) -> None:
    cluster.configure(prices={})

    result = cluster.run("launch", "--dry-run")

    assert "in all price unknown, of which price unknown is new" in result.stdout
    assert json.loads(cluster.run("status", "--json").stdout)["price_per_hour"] == 0.0
    cluster.run("launch", "--yes")
    assert json.loads(cluster.run("status", "--json").stdout)["price_per_hour"] is None
    assert "since the launch" in cluster.run("terminate", "--dry-run").stdout


def test_spot_costs_what_the_zones_history_says(cluster: Cluster) -> None:
    cluster.configure(market="spot", availability_zone="us-east-1c")
    history = cluster.client.describe_spot_price_history(
        InstanceTypes=["c6i.xlarge"], Filters=[{"Name": "availability-zone", "Values": ["us-east-1c"]}]
    )["SpotPriceHistory"]

    result = cluster.run("launch", "--dry-run")

    assert "cluster lab in us-east-1c" in result.stdout
    assert f"spot       30 GiB  {float(history[0]['SpotPrice']) + 0.005 + 30 * 0.08 / 730:.4f} USD/h" in result.stdout

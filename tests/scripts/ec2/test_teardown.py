"""terminate and stop: all of the cluster and nothing else, however much of it there is."""

from cloud import UBUNTU, Cluster
from launcher import PYTHONS


@PYTHONS
def test_terminate_leaves_nothing_of_the_cluster(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")

    result = cluster.run("terminate", "--yes")

    assert "now 0.7060 USD/h, and about 0.00 USD since the launch" in result.stdout
    assert cluster.instances() == cluster.client.describe_key_pairs()["KeyPairs"] == []
    groups = cluster.client.describe_security_groups()["SecurityGroups"]
    assert {group["GroupName"] for group in groups} == {"default"}
    assert not cluster.state.exists()


@PYTHONS
def test_terminate_touches_nobody_elses(cluster: Cluster) -> None:
    client = cluster.client
    tags = [{"Key": "byzshield-cluster", "Value": "lab-2"}, {"Key": "Name", "Value": "byzshield-lab-ps"}]
    specification = [{"ResourceType": "instance", "Tags": tags}]
    mine = client.run_instances(ImageId=UBUNTU, MinCount=1, MaxCount=1)["Instances"][0]
    similar = client.run_instances(ImageId=UBUNTU, MinCount=1, MaxCount=1, TagSpecifications=specification)["Instances"][0]
    client.create_key_pair(KeyName="byzshield-lab2")
    client.create_security_group(GroupName="byzshield-lab2", Description="another's")
    cluster.run("launch", "--yes")

    cluster.run("terminate", "--yes")

    assert {instance["InstanceId"] for instance in cluster.instances()} == {mine["InstanceId"], similar["InstanceId"]}
    assert [pair["KeyName"] for pair in client.describe_key_pairs()["KeyPairs"]] == ["byzshield-lab2"]
    groups = client.describe_security_groups()["SecurityGroups"]
    assert {group["GroupName"] for group in groups} == {"default", "byzshield-lab2"}
    (ended,) = [form for action, form in cluster.front.calls if action == "TerminateInstances"]
    assert not {mine["InstanceId"], similar["InstanceId"]} & set(ended.values())


def test_terminate_asks_and_shows_and_touches_nothing_before(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    before = len(cluster.front.calls)

    assert "give --yes" in cluster.run("terminate", status=2).stderr
    assert "security group sg-" in cluster.run("terminate", "--dry-run").stdout

    assert {action for action in cluster.front.actions()[before:] if not action.startswith(("Describe", "Get"))} == set()
    assert len(cluster.instances()) == 3
    assert cluster.state.exists()


def test_terminate_again_says_that_nothing_is_left(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.run("terminate", "--yes")

    assert "nothing is left of the cluster lab in us-east-1" in cluster.run("terminate").stderr


def test_terminate_waits_for_a_group_that_is_still_in_use(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.front.fail("DeleteSecurityGroup", "DependencyViolation", times=2)

    result = cluster.run("terminate", "--yes")

    assert "is still in use" in result.stderr
    assert cluster.front.actions().count("DeleteSecurityGroup") == 3


def test_a_group_that_stays_in_use_is_named_and_terminate_again_finishes(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.configure(deadlines={"launch": 1})
    cluster.front.fail("DeleteSecurityGroup", "DependencyViolation", times=9)

    result = cluster.run("terminate", "--yes", status=1)

    assert f"{cluster.group()['GroupId']} is still in use" in result.stderr
    assert cluster.state.exists()
    cluster.front.forgive()
    cluster.run("terminate", "--yes")
    assert not cluster.state.exists()


def test_terminate_finds_what_half_a_launch_left_and_what_another_machine_launched(cluster: Cluster) -> None:
    cluster.front.fail("RunInstances", "VcpuLimitExceeded", times=3)
    assert "Service Quotas" in cluster.run("launch", "--yes", status=1).stderr
    assert cluster.group()
    cluster.state.rename(cluster.folder / "elsewhere")

    cluster.run("terminate", "--yes")

    assert cluster.client.describe_key_pairs()["KeyPairs"] == []
    assert len(cluster.client.describe_security_groups()["SecurityGroups"]) == 1


def test_terminate_takes_stopped_and_surplus_instances_too(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.run("stop", "--yes")
    cluster.configure(workers={"count": 1})

    cluster.run("terminate", "--yes")

    assert cluster.instances() == []


def test_after_ctrl_c_in_mid_terminate_another_one_finishes(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.front.hold("TerminateInstances")

    assert cluster.interrupt("terminate", "--yes")[0] == 130

    cluster.run("terminate", "--yes")
    assert len(cluster.client.describe_security_groups()["SecurityGroups"]) == 1
    assert not cluster.state.exists()


def test_open_spot_requests_are_canceled(cluster: Cluster) -> None:
    owner = {"Key": "byzshield-owner", "Value": "arn:aws:sts::123456789012:user/moto"}
    tags = [{"ResourceType": "spot-instances-request", "Tags": [{"Key": "byzshield-cluster", "Value": "lab"}, owner]}]
    cluster.client.request_spot_instances(
        InstanceCount=1, LaunchSpecification={"ImageId": UBUNTU, "InstanceType": "c6i.xlarge"}, TagSpecifications=tags
    )
    cluster.client.request_spot_instances(InstanceCount=1, LaunchSpecification={"ImageId": UBUNTU, "InstanceType": "c6i.xlarge"})

    result = cluster.run("terminate", "--yes")

    assert "spot request sir-" in result.stdout
    (canceled,) = [form for action, form in cluster.front.calls if action == "CancelSpotInstanceRequests"]
    assert len([name for name in canceled if name.startswith("SpotInstanceRequestId")]) == 1


@PYTHONS
def test_stop_stops_on_demand_instances(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")

    assert "give --yes" in cluster.run("stop", status=2).stderr
    assert {instance["State"]["Name"] for instance in cluster.instances()} == {"running"}
    assert "disks are still paid for" in cluster.run("stop", "--yes").stderr
    cluster.run("stop")  # nothing is left to ask

    assert {instance["State"]["Name"] for instance in cluster.instances()} == {"stopped"}
    assert "nothing of the cluster lab runs" in cluster.run("hosts", status=1).stderr


def test_stop_touches_nothing_while_there_are_spot_instances_that_it_may_not_delete(cluster: Cluster) -> None:
    cluster.configure(market="spot", workers={"count": 1, "instance_type": "c6i.xlarge"})
    cluster.run("launch", "--yes")

    result = cluster.run("stop", "--yes", status=2)

    assert "spot instances cannot be stopped: worker1; nothing was touched" in result.stderr
    assert {instance["State"]["Name"] for instance in cluster.instances()} == {"running"}
    server = cluster.slots()["0"]
    cluster.run("stop", "--yes", "--delete-spot")
    assert [(item["InstanceId"], item["State"]["Name"]) for item in cluster.instances()] == [(server, "stopped")]


def test_a_cluster_of_someone_else_is_shown_and_stays_unless_its_id_is_said(cluster: Cluster) -> None:
    cluster.configure(workers={"count": 1, "instance_type": "c6i.xlarge"})
    cluster.run("launch", "--yes")
    theirs = [{"Key": "byzshield-id", "Value": "0123456789ab"}, {"Key": "byzshield-owner", "Value": "arn:aws:iam::1:user/eve"}]
    cluster.client.create_tags(Resources=[instance["InstanceId"] for instance in cluster.instances()], Tags=theirs)
    whose = "id 0123456789ab, launched by arn:aws:iam::1:user/eve"

    for command in ("launch", "stop", "terminate"):
        assert f"({whose})" in cluster.run(command, "--yes", status=2).stderr
    assert {instance["State"]["Name"] for instance in cluster.instances()} == {"running"}

    cluster.run("terminate", "--yes", "--id", "0123456789ab")
    assert cluster.instances() == []


def test_the_published_name_terminates_too(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")

    cluster.run("shutdown", "--yes")

    assert cluster.instances() == []


def test_an_instance_that_is_not_listed_yet_is_terminated_all_the_same(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.front.hide(cluster.slots()["2"], times=2)

    cluster.run("terminate", "--yes")

    assert cluster.instances() == []

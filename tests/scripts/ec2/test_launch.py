"""launch: what it makes, what it asks, and that it goes on where an earlier launch stopped."""

import base64
import json
import os
import subprocess
from typing import Any

import pytest
from cloud import UBUNTU, Cluster
from launcher import LAUNCHER, PYTHONS, REPOSITORY


@PYTHONS
def test_launch_fills_every_slot_with_a_tagged_instance(cluster: Cluster) -> None:
    result = cluster.run("launch", "--yes")

    assert sorted(cluster.slots()) == ["0", "1", "2"]
    assert [line.split("\t")[0] for line in result.stdout.splitlines()[-3:]] == ["ps", "worker1", "worker2"]
    for instance in cluster.instances(**cluster.tag):
        assert instance["InstanceType"] == ("c6i.2xlarge" if instance["InstanceId"] == cluster.slots()["0"] else "c6i.xlarge")
        assert instance["KeyName"] == "byzshield-lab"
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert "IamInstanceProfile" not in instance
    volumes = cluster.client.describe_volumes()["Volumes"]
    assert {(volume["VolumeType"], volume["Encrypted"]) for volume in volumes} == {("gp3", True)}
    assert sorted(volume["Size"] for volume in volumes) == [30, 30, 40]
    disks = [disk for i in cluster.instances() for disk in i["BlockDeviceMappings"]]
    assert [disk["Ebs"]["DeleteOnTermination"] for disk in disks] == [True] * 3


def test_spot_is_asked_for_as_spot(cluster: Cluster) -> None:
    cluster.configure(market="spot", max_price=0.25, server={"instance_type": "c6i.2xlarge", "market": "spot"})

    cluster.run("launch", "--yes")

    assert {instance["InstanceLifecycle"] for instance in cluster.instances()} == {"spot"}
    asked = next(form for action, form in cluster.front.calls if action == "RunInstances")
    assert asked["InstanceMarketOptions.SpotOptions.MaxPrice"] == "0.25"
    assert asked["InstanceMarketOptions.SpotOptions.SpotInstanceType"] == "one-time"
    kinds = [asked[f"TagSpecification.{number}.ResourceType"] for number in range(1, 5)]
    assert kinds == ["instance", "volume", "network-interface", "spot-instances-request"]
    assert asked["InstanceInitiatedShutdownBehavior"] == "terminate"
    refused = cluster.run("stop", "--yes", "--delete-spot", status=2)
    assert "ps is a spot instance and cannot be stopped; nothing was touched" in refused.stderr
    assert {instance["State"]["Name"] for instance in cluster.instances()} == {"running"}


def test_the_server_is_on_demand_unless_it_is_said_to_be_spot(cluster: Cluster) -> None:
    cluster.configure(market="spot")

    plan = cluster.run("launch", "--dry-run").stdout
    assert [line.split()[2] for line in plan.splitlines() if line.startswith(("ps ", "worker"))] == ["on-demand", "spot", "spot"]
    cluster.run("launch", "--yes")

    markets = {instance["InstanceId"]: instance.get("InstanceLifecycle") for instance in cluster.instances()}
    assert [markets[cluster.slots()[slot]] for slot in "012"] == [None, "spot", "spot"]
    before = cluster.slots()
    assert "though the configuration has changed" not in cluster.run("launch").stderr
    assert cluster.slots() == before, "launch again changes nothing"
    assert cluster.front.actions().count("RunInstances") == 3


def test_the_group_lets_in_ssh_from_the_caller_and_itself_and_nothing_else(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")

    group = cluster.group()
    ssh, inside = sorted(group["IpPermissions"], key=lambda permission: permission["IpProtocol"], reverse=True)
    assert (ssh["IpProtocol"], ssh["FromPort"], ssh["ToPort"]) == ("tcp", 22, 22)
    assert [item["CidrIp"] for item in ssh["IpRanges"]] == ["198.51.100.7/32"]
    assert ssh["UserIdGroupPairs"] == ssh.get("Ipv6Ranges", []) == []
    assert inside["IpProtocol"] == "-1"
    assert [pair["GroupId"] for pair in inside["UserIdGroupPairs"]] == [group["GroupId"]]
    assert inside["IpRanges"] == inside.get("Ipv6Ranges", []) == []
    interfaces = cluster.client.describe_network_interfaces()["NetworkInterfaces"]
    assert [[own["GroupId"] for own in interface["Groups"]] for interface in interfaces] == [[group["GroupId"]]] * 3


def test_another_address_replaces_the_old_rule_and_whatever_else_was_let_in(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    world = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    cluster.client.authorize_security_group_ingress(GroupId=cluster.group()["GroupId"], IpPermissions=[world])
    cluster.front.address = "203.0.113.9"

    result = cluster.run("launch")  # nothing to pay for, so nothing to ask

    assert "no longer lets in tcp 22 from 198.51.100.7/32" in result.stderr
    ranges = [item["CidrIp"] for permission in cluster.group()["IpPermissions"] for item in permission["IpRanges"]]
    assert ranges == ["203.0.113.9/32"]


@pytest.mark.parametrize("answer", ["0.0.0.0/0", "<html>captive portal</html>", ""])
def test_an_address_that_is_none_opens_nothing(cluster: Cluster, answer: str) -> None:
    cluster.front.address = answer

    result = cluster.run("launch", "--yes", status=1)

    assert "set ssh_from to it" in result.stderr
    assert "CreateSecurityGroup" not in cluster.front.actions()


@PYTHONS
def test_the_private_halves_stay_here_and_the_host_keys_are_known_beforehand(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")

    (pair,) = cluster.client.describe_key_pairs()["KeyPairs"]
    assert pair["KeyName"] == "byzshield-lab"
    imported = next(form for action, form in cluster.front.calls if action == "ImportKeyPair")["PublicKeyMaterial"]
    assert base64.b64decode(imported).decode().split()[:2] == (cluster.state / "id_ed25519.pub").read_text().split()[:2]
    known = {line.split()[0]: line.split()[1:] for line in (cluster.state / "known_hosts").read_text().splitlines()}
    for slot, identity in cluster.slots().items():
        (instance,) = [i for i in cluster.instances() if i["InstanceId"] == identity]
        alias = "ps" if slot == "0" else f"worker{slot}"
        names = f"{alias},{instance['PrivateIpAddress']},{instance['PublicIpAddress'].replace('54.', '127.', 1)}"
        told = cluster.client.describe_instance_attribute(InstanceId=identity, Attribute="userData")["UserData"]["Value"]
        head, body = base64.b64decode(told).decode().split("\n", 1)
        assert head == "#cloud-config"
        document = json.loads(body)
        assert document["ssh_deletekeys"] is True
        assert document["ssh_pwauth"] is False
        assert document["write_files"][0]["content"] == (REPOSITORY / "scripts" / "node" / "host_limits.sh").read_text()
        path = document["write_files"][0]["path"]
        assert document["runcmd"] == [["bash", path, "install", "ubuntu", "byzshield", "48", "60"]]
        behavior = cluster.client.describe_instance_attribute(InstanceId=identity, Attribute="instanceInitiatedShutdownBehavior")
        assert behavior["InstanceInitiatedShutdownBehavior"]["Value"] == ("stop" if slot == "0" else "terminate")
        assert document["ssh_keys"]["ed25519_public"].split()[:2] == known[names]
        key = cluster.folder / f"key{slot}"
        key.write_text(document["ssh_keys"]["ed25519_private"])
        key.chmod(0o600)
        derived = subprocess.run(["ssh-keygen", "-y", "-f", str(key)], check=True, capture_output=True, text=True).stdout
        assert derived.split()[:2] == known[names]
        key.unlink()
    private = [path for path in cluster.folder.rglob("*") if path.is_file() and "PRIVATE KEY" in path.read_text(errors="replace")]
    assert private == [cluster.state / "id_ed25519"]


def test_the_state_is_readable_by_its_owner_alone(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")

    for folder in [cluster.state, *(path for path in cluster.state.rglob("*") if path.is_dir())]:
        assert folder.stat().st_mode & 0o777 == 0o700
    assert (cluster.state / "id_ed25519").stat().st_mode & 0o777 == 0o600
    assert not [path for path in cluster.state.rglob("*") if path.stat().st_mode & 0o022]


def test_no_output_quotes_a_key(cluster: Cluster) -> None:
    cluster.front.fail("RunInstances", "InternalError", times=3)
    cluster.run("launch", "--yes", status=None)
    cluster.run("launch", "--yes")
    for command in ("status", "list-running", "list-idle"):
        cluster.run(command)
    cluster.run("terminate", "--yes")

    assert not [text for text in cluster.outputs if "PRIVATE KEY" in text or "cloud-config" in text]


def test_without_a_terminal_nothing_is_launched_unless_yes_is_given(cluster: Cluster) -> None:
    result = cluster.run("launch", status=2)

    assert "give --yes" in result.stderr
    assert cluster.instances() == cluster.client.describe_key_pairs()["KeyPairs"] == []


@pytest.mark.parametrize(("answer", "status", "launched"), [("y\n", 0, 3), ("n\n", 1, 0), ("\n", 1, 0)])
def test_at_a_terminal_the_answer_decides(cluster: Cluster, answer: str, status: int, launched: int) -> None:
    terminal, side = os.openpty()
    try:
        os.write(terminal, answer.encode())
        process = subprocess.run(
            [cluster.python, str(LAUNCHER), "launch", "--config", str(cluster.config)],
            env={**os.environ, **cluster.environment},
            stdin=side,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        os.close(terminal)
        os.close(side)

    assert "About to launch 3 instances for 0.7060 USD/h. Go on?" in process.stderr
    assert (process.returncode, len(cluster.instances())) == (status, launched)


@PYTHONS
def test_an_answer_that_is_not_of_aws_is_one_line(cluster: Cluster) -> None:
    cluster.front.fail("DescribeImages", "<p>log in at the proxy", times=20)

    result = cluster.run("launch", "--dry-run", status=1)

    assert result.stderr.startswith("launch: ec2 in us-east-1: what answers is not AWS, but perhaps a proxy; check endpoint_url")
    assert len(result.stderr.splitlines()) == 1


def test_the_next_command_can_be_copied(cluster: Cluster) -> None:
    cluster.config = cluster.config.rename(cluster.folder / "my lab.json")
    cluster.configure(name="lab")

    assert f"next: python scripts/ec2 setup --config '{cluster.config}'\n" in cluster.run("launch", "--yes").stderr


@PYTHONS
def test_a_dry_run_shows_the_plan_and_touches_nothing(cluster: Cluster) -> None:
    result = cluster.run("launch", "--dry-run")

    assert "worker2  c6i.xlarge   on-demand  30 GiB  0.1783 USD/h  missing: is launched" in result.stdout
    assert "in all 0.7060 USD/h, of which 0.7060 USD/h is new; traffic comes on top" in result.stdout
    ends = "48 h after its start (max_hours) or after 60 min without use (idle_minutes), so after 33.89 USD at the most"
    assert f"every host ends by itself {ends};\nthat stops ps, whose disk stays, and deletes workers\n" in result.stdout
    assert {action for action in cluster.front.actions() if not action.startswith(("Describe", "Get"))} == set()
    assert not cluster.state.exists()


@PYTHONS
def test_launch_fills_the_one_slot_that_was_lost(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    before = cluster.slots()
    cluster.client.terminate_instances(InstanceIds=[before["1"]])

    result = cluster.run("launch", "--yes")

    after = cluster.slots()
    assert "of which 0.1783 USD/h is new" in result.stdout
    assert {slot: after[slot] for slot in "02"} == {slot: before[slot] for slot in "02"}
    assert after["1"] != before["1"]
    assert len(cluster.instances()) == 3
    assert len((cluster.state / "known_hosts").read_text().splitlines()) == 3


def test_launch_starts_stopped_instances(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    before = cluster.slots()
    cluster.run("stop", "--yes")
    assert {instance["State"]["Name"] for instance in cluster.instances()} == {"stopped"}

    cluster.run("launch", "--yes")

    assert cluster.slots() == before
    assert {instance["State"]["Name"] for instance in cluster.instances()} == {"running"}


@PYTHONS
def test_after_ctrl_c_in_mid_launch_another_launch_fills_what_is_missing(cluster: Cluster) -> None:
    cluster.front.hold("RunInstances", when=lambda form: any(value == "byzshield-lab-worker1" for value in form.values()))

    status, stderr = cluster.interrupt("launch", "--yes")

    assert (status, stderr.splitlines()[-1]) == (130, "launch: interrupted; the same command goes on where this one stopped")
    begun = cluster.slots()
    assert "1" in begun  # EC2 has launched it, and the launcher has not heard so

    cluster.run("launch", "--yes")

    assert {slot: cluster.slots()[slot] for slot in begun} == begun
    assert len(cluster.instances()) == 3
    assert len((cluster.state / "known_hosts").read_text().splitlines()) == 3
    assert list((cluster.state / "pending").iterdir()) == []


@PYTHONS
def test_an_answer_that_was_lost_leaves_one_instance_with_a_known_host_key(cluster: Cluster) -> None:
    cluster.front.fail("RunInstances", "InternalError", after=True, when=lambda form: "byzshield-lab-ps" in form.values())

    cluster.run("launch", "--yes", status=1)
    cluster.run("launch", "--yes")

    assert len(cluster.instances()) == 3
    assert len((cluster.state / "known_hosts").read_text().splitlines()) == 3


def test_one_token_a_slot_and_another_for_its_next_instance(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.client.terminate_instances(InstanceIds=[cluster.slots()["1"]])
    cluster.run("launch", "--yes")

    tokens = [form["ClientToken"] for action, form in cluster.front.calls if action == "RunInstances"]
    assert len(tokens) == len(set(tokens)) == 4


def test_a_slot_without_capacity_is_named_and_the_others_go_on(cluster: Cluster) -> None:
    cluster.front.fail("RunInstances", "InsufficientInstanceCapacity", when=lambda form: "byzshield-lab-worker1" in form.values())

    result = cluster.run("launch", "--yes", status=1)

    (line,) = [line for line in result.stderr.splitlines() if line.startswith("worker1: ")]
    assert "no c6i.xlarge is left in us-east-1" in line
    assert "another availability_zone or instance_type" in line
    assert sorted(cluster.slots()) == ["0", "2"]
    cluster.run("launch", "--yes")
    assert sorted(cluster.slots()) == ["0", "1", "2"]


def test_what_ec2_does_not_know_yet_is_asked_for_again(cluster: Cluster) -> None:
    cluster.front.fail("AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound", times=2)
    cluster.front.fail("RunInstances", "InvalidKeyPair.NotFound")

    cluster.run("launch", "--yes")

    assert len(cluster.instances()) == 3
    assert len(cluster.group()["IpPermissions"]) == 2


def test_throttling_is_waited_out(cluster: Cluster) -> None:
    cluster.front.fail("RunInstances", "RequestLimitExceeded", times=2)
    cluster.front.fail("DescribeInstances", "RequestLimitExceeded", times=1)

    cluster.run("launch", "--yes")

    assert len(cluster.instances()) == 3


def test_a_group_that_is_not_ours_is_left_alone(cluster: Cluster) -> None:
    cluster.client.create_security_group(GroupName="byzshield-lab", Description="somebody else's")

    result = cluster.run("launch", "--yes", status=2)

    assert "without the tag byzshield-cluster=lab is in the way" in result.stderr
    assert cluster.group()["IpPermissions"] == cluster.instances() == []


def test_a_cluster_whose_key_is_elsewhere_is_not_added_to(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    cluster.client.terminate_instances(InstanceIds=[cluster.slots()["1"]])
    cluster.state.rename(cluster.folder / "elsewhere")

    result = cluster.run("launch", "--yes", status=2)

    assert "its key is not on this machine" in result.stderr
    assert sorted(cluster.slots()) == ["0", "2"]


def test_a_second_launch_at_the_same_time_is_refused(cluster: Cluster) -> None:
    cluster.front.hold("RunInstances")
    first = subprocess.Popen(
        [cluster.python, str(LAUNCHER), "launch", "--config", str(cluster.config), "--yes"],
        env={**os.environ, **cluster.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert cluster.front.held.wait(30)

        assert "another command is changing the cluster lab" in cluster.run("launch", "--yes", status=2).stderr
    finally:
        first.kill()
        first.wait()


def test_an_image_by_path_is_looked_up(cluster: Cluster) -> None:
    cluster.configure(image="ssm:/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2")

    result = cluster.run("launch", "--dry-run", status=None)

    assert "ami-" in result.stdout + result.stderr


def test_an_unknown_image_is_named(cluster: Cluster) -> None:
    cluster.configure(image="ami-00000000")

    assert "image ami-00000000" in cluster.run("launch", "--yes", status=2).stderr


def test_an_instance_type_that_no_zone_has_is_named(cluster: Cluster) -> None:
    cluster.configure(workers={"count": 1, "instance_type": "hpc6a.48xlarge"})

    assert "choose other instance types" in cluster.run("launch", "--yes", status=2).stderr


def test_no_credentials_is_one_line(cluster: Cluster) -> None:
    nowhere = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }

    result = cluster.run("launch", "--yes", status=2, env=nowhere)

    assert result.stderr.startswith("launch: no AWS credentials")
    assert result.stderr.count("\n") == 1


@PYTHONS
@pytest.mark.parametrize(
    ("code", "line"), [("UnauthorizedOperation", "may not call run_instances"), ("ExpiredToken", "log in again")]
)
def test_missing_rights_are_said_in_one_line(cluster: Cluster, code: str, line: str) -> None:
    cluster.front.fail("RunInstances", code, times=3)

    assert line in cluster.run("launch", "--yes", status=1).stderr


def test_an_instance_that_is_not_listed_yet_is_waited_for_and_not_launched_twice(cluster: Cluster) -> None:
    cluster.run("launch", "--yes")
    hidden = cluster.slots()["1"]
    cluster.front.hide(hidden, times=3)

    cluster.run("launch", "--yes")

    assert cluster.slots()["1"] == hidden
    assert len(cluster.instances()) == 3


def test_the_deadline_names_the_slots_that_are_late(cluster: Cluster) -> None:
    cluster.configure(deadlines={"launch": 2})
    cluster.front.delay("pending")

    result = cluster.run("launch", "--yes", status=1)

    assert "worker1: pending" in result.stderr
    assert "3 of 3 slots failed; `launch` again fills them" in result.stderr


def test_ssh_may_come_from_a_network_in_ipv6(cluster: Cluster) -> None:
    cluster.configure(ssh_from="2001:db8:1:2::77/64")

    cluster.run("launch", "--yes")
    cluster.run("launch")

    ranges = [item["CidrIpv6"] for permission in cluster.group()["IpPermissions"] for item in permission.get("Ipv6Ranges", [])]
    assert ranges == ["2001:db8:1:2::/64"]
    assert cluster.front.actions().count("AuthorizeSecurityGroupIngress") == 2
    assert "RevokeSecurityGroupIngress" not in cluster.front.actions()


def test_a_network_is_spelled_as_ec2_spells_it(cluster: Cluster) -> None:
    cluster.configure(ssh_from="198.51.100.77/24")

    cluster.run("launch", "--yes")

    ranges = [item["CidrIp"] for permission in cluster.group()["IpPermissions"] for item in permission["IpRanges"]]
    assert ranges == ["198.51.100.0/24"]


def test_a_disk_smaller_than_the_image_is_refused_beforehand(cluster: Cluster) -> None:
    cluster.configure(workers={"count": 2, "disk_gib": 1})

    assert "workers.disk_gib must be at least" in cluster.run("launch", "--yes", status=2).stderr


def test_the_zone_of_a_subnet_must_be_the_configured_one(cluster: Cluster) -> None:
    (subnet,) = cluster.client.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1b"]}])["Subnets"]
    cluster.configure(subnet=subnet["SubnetId"], availability_zone="us-east-1a")
    assert "availability_zone is us-east-1a, but the subnet" in cluster.run("launch", "--yes", status=2).stderr
    cluster.configure(subnet=subnet["SubnetId"])

    cluster.run("launch", "--yes")

    assert {instance["SubnetId"] for instance in cluster.instances()} == {subnet["SubnetId"]}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"workers": {"count": 2, "instance_type": "c7g.xlarge"}},
            f"workers.instance_type: c7g.xlarge is a machine for arm64, and the image {UBUNTU} is for x86_64; change one of them",
        ),
        ({"server": {"instance_type": "c6i.gigantic"}}, "server.instance_type: there is no c6i.gigantic in us-east-1"),
        ({"availability_zone": "us-west-2a"}, "availability_zone us-west-2a is not in region us-east-1; change one of them"),
        ({"node": {"lock": "no.lock"}}, "node.lock: there is no no.lock on this machine, and `setup` needs it"),
        ({"node": {"wheels": "no wheels"}}, "node.wheels: there is no no wheels on this machine, and `setup` needs it"),
    ],
)
def test_what_there_is_not_or_does_not_fit_is_refused_in_the_dry_run(cluster: Cluster, change: dict[str, Any], line: str) -> None:
    cluster.configure(**change)

    result = cluster.run("launch", "--dry-run", status=2)

    assert (result.stdout, result.stderr) == ("", f"launch: {line}\n")
    assert not [action for action in cluster.front.actions() if not action.startswith("Describe")]

"""The MPIJob: what the API server would say of it, and a job in pods like those that the operator makes of it."""

import copy
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import torch
import yaml
from cluster_lab import ClusterLab, require_lab
from drowsy import drowsy
from needs import find_tool, need
from pods import Pod
from polling import wait_for
from ssh_server import SshServer, make_key

from byzshield.config import RunConfig, dump
from byzshield.runtime import simulate
from byzshield.runtime.metrics import read_metrics

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "configs" / "clusters" / "kubernetes"
KUBERNETES = "1.31"  # what the MPI operator 0.6 is built against
MANIFEST = {document["kind"]: document for document in yaml.safe_load_all((FOLDER / "mpijob.yaml").read_text())}
SPEC = MANIFEST["MPIJob"]["spec"]
SCHEMA = json.loads((Path(__file__).parent / "mpijob.schema.json").read_text())
CONTAINERS = {role: replicas["template"]["spec"]["containers"][0] for role, replicas in SPEC["mpiReplicaSpecs"].items()}
Weights = dict[str, torch.Tensor]


def check(document: dict[str, Any]) -> None:
    """Raises what makes the API server or the operator refuse the document."""
    if document["kind"] != "MPIJob":
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        return
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    for role, replicas in document["spec"]["mpiReplicaSpecs"].items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": role.lower()}, **replicas["template"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize("kind", MANIFEST)
def test_the_manifest_obeys_the_schemas(kind: str) -> None:
    check(MANIFEST[kind])


OF_THIS_JOB = {"training.kubeflow.org/job-name": MANIFEST["MPIJob"]["metadata"]["name"]}


def test_the_policy_selects_the_pods_of_this_job_and_no_others() -> None:
    spec = MANIFEST["NetworkPolicy"]["spec"]
    assert spec["podSelector"] == {"matchLabels": OF_THIS_JOB}
    assert sorted(spec["policyTypes"]) == ["Egress", "Ingress"]


def test_only_pods_of_this_job_reach_each_other() -> None:
    for rule in MANIFEST["NetworkPolicy"]["spec"]["ingress"]:
        assert rule["from"], "nobody named is everybody"
        for peer in rule["from"]:
            assert set(peer) == {"podSelector"}
            assert set(peer["podSelector"]) == {"matchLabels"}
            assert OF_THIS_JOB.items() <= peer["podSelector"]["matchLabels"].items()


def test_pods_reach_this_job_and_the_clusters_names_and_nothing_else() -> None:
    inside, names = MANIFEST["NetworkPolicy"]["spec"]["egress"]
    assert inside == {"to": [{"podSelector": {"matchLabels": OF_THIS_JOB}}]}
    assert names["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]
    assert {port["port"] for port in names["ports"]} == {53}


def test_no_worker_reaches_the_sshd_of_another() -> None:
    (port,) = re.findall(r"^Port (\d+)$", (FOLDER / "sshd_config").read_text(), re.MULTILINE)
    rules = MANIFEST["NetworkPolicy"]["spec"]["ingress"]
    admitting = [
        rule for rule in rules if any(span["port"] <= int(port) <= span.get("endPort", span["port"]) for span in rule["ports"])
    ]
    ((peer,),) = (rule["from"] for rule in admitting)
    assert peer["podSelector"]["matchLabels"]["training.kubeflow.org/job-role"] == "launcher"


@pytest.mark.parametrize(
    "path",
    [
        "slotsPerWorkers",
        "runPolicy.backofLimit",
        "mpiReplicaSpecs.Launcher.replica",
        "mpiReplicaSpecs.Worker.template.spec.securityContext.runAsNonroot",
    ],
)
def test_a_misspelled_field_is_found(path: str) -> None:
    document = copy.deepcopy(MANIFEST["MPIJob"])
    *parents, field = path.split(".")
    at = document["spec"]
    for name in parents:
        at = at[name]
    at[field] = 1
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError), match=field):
        check(document)


def test_no_pod_runs_as_root_or_may_become_root() -> None:
    for replicas in SPEC["mpiReplicaSpecs"].values():
        pod = replicas["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        for container in pod["containers"]:
            no_root = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            assert container["securityContext"] == no_root
            assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


def test_the_image_runs_as_its_user_from_before_anything_is_installed() -> None:
    lines = [
        line.split() for line in (FOLDER / "Dockerfile").read_text().splitlines() if line and not line.startswith(("#", " "))
    ]
    instructions = [line[0] for line in lines]
    assert [line for line in lines if line[0] == "USER"] == [["USER", "byzshield"]]
    assert [name for name in instructions[: instructions.index("USER")] if name != "FROM"] == ["RUN"], "only the system's part"


def test_the_workers_sshd_takes_the_jobs_key_and_no_password(tmp_path: Path) -> None:
    need("sshd", "ssh-keygen")
    SshServer.prepare()
    key = make_key(tmp_path / "key")
    config = (FOLDER / "sshd_config").read_text().replace("/home/byzshield/.ssh/id_rsa", str(key))
    (tmp_path / "sshd_config").write_text(config)
    command = [str(find_tool("sshd")), "-T", "-f", str(tmp_path / "sshd_config")]
    said = dict(line.split(" ", 1) for line in subprocess.check_output(command, text=True).splitlines() if " " in line)
    assert said["authenticationmethods"] == "publickey"
    refused = ("passwordauthentication", "kbdinteractiveauthentication", "permitemptypasswords", "hostbasedauthentication")
    assert {said[name] for name in refused} == {"no"}
    assert {said[name] for name in ("allowtcpforwarding", "x11forwarding", "usepam")} == {"no"}
    assert said["authorizedkeysfile"] == "/home/byzshield/.ssh/authorized_keys"


def test_the_launcher_believes_the_jobs_own_key_alone() -> None:
    need("ssh")
    command = ["ssh", "-F", str(FOLDER / "ssh_config"), "-G", "byzshield-worker-0"]
    said = dict(line.split(" ", 1) for line in subprocess.check_output(command, text=True).splitlines())
    assert said["stricthostkeychecking"] == "true"
    assert said["userknownhostsfile"] == said["globalknownhostsfile"] == "/dev/null"
    assert said["knownhostscommand"].endswith("/home/byzshield/.ssh/id_rsa.pub")
    assert (said["identitiesonly"], said["batchmode"]) == ("yes", "yes")


def test_image_user_and_key_fit_together() -> None:
    image = (FOLDER / "Dockerfile").read_text()
    assert f"--uid {SPEC['mpiReplicaSpecs']['Worker']['template']['spec']['securityContext']['runAsUser']} " in image
    for name in ("ssh_config", "sshd_config"):
        assert f"{SPEC['sshAuthMountPath']}/id_rsa" in (FOLDER / name).read_text()
    port = CONTAINERS["Worker"]["readinessProbe"]["tcpSocket"]["port"]
    assert all(f"Port {port}\n" in (FOLDER / name).read_text() for name in ("ssh_config", "sshd_config"))
    assert len({container["image"] for container in CONTAINERS.values()}) == 1


def test_the_image_is_given_the_files_that_it_installs_by() -> None:
    image = (FOLDER / "Dockerfile").read_text()
    before, _, after = image.partition("RUN PIP_NO_CACHE_DIR=1 bash scripts/install_node.sh ")
    copied = [name for line in re.findall(r"^COPY \S+ (.*) \S+$", before, re.MULTILINE) for name in line.split()]
    assert all((REPOSITORY / name).exists() for name in copied)
    assert {"requirements-remote.txt", "requirements-cpu.lock", "scripts/install_node.sh", "scripts/lib"} <= set(copied)
    sourced = re.findall(r"^\. (\S+)$", (REPOSITORY / "scripts" / "install_node.sh").read_text(), re.MULTILINE)
    assert all(name.startswith("scripts/lib/") for name in sourced)
    assert after.index("COPY --chown=byzshield . .\n") < after.index("compileall -q byzshield\n"), "pods cannot write bytecode"


@pytest.fixture
def pods(tmp_path: Path, checkout: Path) -> Iterator[list[Pod]]:
    """A launcher's pod and two workers' pods, not started; the checkout is their /byzshield, and they may write to its runs/."""
    require_lab()
    for folder in ("secret", "config"):
        (tmp_path / folder).mkdir()
    key = tmp_path / "secret" / "id_rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "521", "-m", "PEM", "-N", "", "-C", "", "-f", str(key)], check=True)
    key.chmod(0o644)  # as a volume of a Secret
    (tmp_path / "secret" / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    names = ["byzshield-launcher", "byzshield-worker-0", "byzshield-worker-1"]
    full = [f"{name}.byzshield.default.svc" for name in names]
    (tmp_path / "config" / "hostfile").write_text("".join(f"{name} slots=1\n" for name in full[1:]))
    addresses = [f"198.51.100.{number}" for number in (1, 2, 3)]
    lines = [f"{address} {name}" for address, name in zip(addresses, full, strict=True)]
    (tmp_path / "config" / "hosts").write_text("\n".join(["127.0.0.1 localhost", f"{addresses[0]} {names[0]}", *lines, ""]))
    (checkout / "runs").mkdir()
    os.chown(checkout / "runs", 1000, 1000)
    for parent in [tmp_path, *tmp_path.parents]:  # pytest keeps others out, and pods are others
        if parent.is_relative_to(tempfile.gettempdir()) and parent != Path(tempfile.gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o055)
    with ClusterLab(tmp_path / "lab", laptop="198.51.100.254/24") as lab:
        made = [Pod(lab, name, f"{address}/24", tmp_path) for name, address in zip(names, addresses, strict=True)]
        try:
            yield made
        finally:
            for pod in made:
                pod.kill()


@pytest.mark.mpi
def test_a_job_whose_launcher_must_go_resumes_when_it_comes_back(
    tiny_run: Callable[..., RunConfig],
    pods: list[Pod],
    checkout: Path,
    weights_of: Callable[[Path], Weights],
    same_weights: Callable[[Weights, Weights], bool],
) -> None:
    run = {"steps": 60, "output_dir": "runs", "name": "pods"}
    mean = {"rule": "mean"}  # a pod would have to compile any other rule
    (checkout / "run.toml").write_text(dump(tiny_run(run=run, model=drowsy(0.002), aggregation=mean)))
    launcher, *workers = pods
    for pod in workers:
        pod.start(CONTAINERS["Worker"], checkout)
    for pod in workers:
        wait_for(lambda pod=pod: "Server listening on" in pod.log.read_text(), f"sshd of {pod.name}", seconds=20)
    server = {**CONTAINERS["Launcher"], "args": ["run.toml"]}
    launcher.start(server, checkout)
    metrics = checkout / "runs" / "pods" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and len(read_metrics(metrics)) >= 3, "3 steps", seconds=90)
    ranks = [sum(bool(re.match(r"\S*python -m mpi4py", words)) for words in pod.commands()) for pod in pods]
    assert ranks == [1, 1, 1]
    os.kill(launcher.main, signal.SIGTERM)
    assert launcher.wait(seconds=60) == 143, launcher.log.read_text()
    stopped_at = read_metrics(metrics)[-1]["step"]
    assert stopped_at < 60
    launcher.start(server, checkout)
    assert launcher.wait(seconds=120) == 0, launcher.log.read_text()
    assert f"step_{stopped_at}.pt" in launcher.log.read_text()
    whole, _ = simulate(tiny_run(run={"steps": 60, "name": "whole"}, aggregation=mean))
    assert same_weights(weights_of(metrics.parent), weights_of(whole.path))

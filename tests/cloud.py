"""EC2 on this machine: a moto server, and a front before it that breaks what a test asks it to break."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import moto_server
from launcher import LAUNCHER, run_launcher
from polling import wait_for
from ssh_server import free_port

UBUNTU = "ami-1e749f67"  # one of those that moto knows
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_CONFIG_FILE": os.devnull}
PUBLIC = re.compile(rb">54\.(\d+\.\d+\.\d+)<")  # as moto makes them up; whose they are, nobody shall be bothered
Form = dict[str, str]


class Moto:
    """moto_server.py on a free port of the loopback; forgets everything on reset()."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        with open(log, "wb") as output:
            command = [sys.executable, moto_server.__file__, str(self.port)]
            self._process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **CREDENTIALS})

        def answers() -> bool:
            assert self._process.poll() is None, log.read_text()
            with contextlib.suppress(OSError):
                self.reset()
                return True
            return False

        wait_for(answers, f"moto answers; see {log}")

    def reset(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/moto-api/reset")
        assert connection.getresponse().read()
        connection.close()

    def stop(self) -> None:
        self._process.kill()  # it has nothing to put in order
        self._process.wait(10)


class Front(ThreadingHTTPServer):
    """Passes requests on to moto, and keeps them; fails or holds those that it was told to.

    It also plays what moto lacks: AWS's price list (`prices`), the page that tells a caller its address (`address`), and hosts
    that somebody answers at (`addresses`: those that moto made up, and those to tell instead). All other public addresses are of
    the loopback, and nobody answers there.
    """

    daemon_threads = True

    def __init__(self, moto: Moto) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.moto = moto
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.address = "198.51.100.7"
        self.prices: dict[str, float] = {}
        self.addresses: dict[str, str] = {}
        self.calls: list[tuple[str, Form]] = []
        self.held = threading.Event()
        self._faults: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def fail(
        self, action: str, code: str, *, times: int = 1, when: Callable[[Form], bool] = lambda form: True, after: bool = False
    ) -> None:
        """The next `times` calls of the action get this error; with `after`, moto has done what they asked for."""
        self._faults.append({"action": action, "code": code, "times": times, "when": when, "after": after})

    def hold(self, action: str, *, when: Callable[[Form], bool] = lambda form: True) -> None:
        """The next call of the action is done by moto and never answered; `held` is set then."""
        self._faults.append({"action": action, "code": None, "times": 1, "when": when, "after": True})

    def hide(self, instance: str, *, times: int) -> None:
        """The next `times` lists of instances lack this one, as EC2's do for a while after a launch."""
        self._faults.append(
            {"action": "DescribeInstances", "times": times, "when": lambda form: True, "after": True, "hide": instance}
        )

    def delay(self, state: str) -> None:
        """Instances that run are listed in this state instead."""
        self._faults.append(
            {"action": "DescribeInstances", "times": 10**6, "when": lambda form: True, "after": True, "state": state}
        )

    def forgive(self) -> None:
        """Nothing fails any more."""
        with self._lock:
            self._faults.clear()

    def fault(self, action: str, form: Form) -> dict[str, Any] | None:
        with self._lock:
            self.calls.append((action, form))
            for fault in self._faults:
                if fault["action"] == action and fault["times"] > 0 and fault["when"](form):
                    fault["times"] -= 1
                    return fault
        return None

    def actions(self) -> list[str]:
        return [action for action, _ in self.calls]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A launcher that is interrupted breaks its connections, and nothing is wrong with that."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, self.server.address.encode(), "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("X-Amz-Target", "").endswith(".GetProducts"):
            self._price_list(json.loads(body))
            return
        form = dict(urllib.parse.parse_qsl(body.decode()))
        fault = self.server.fault(form.get("Action", ""), form)
        if fault is None or fault["after"]:
            status, answer, kind = self._moto(body)
            for made_up, told in self.server.addresses.items():
                answer = answer.replace(f">{made_up}<".encode(), f">{told}<".encode())
            answer = PUBLIC.sub(rb">127.\1<", answer)
        if fault is not None and "code" not in fault:
            self._answer(status, _disguised(answer.decode(), fault).encode(), kind)
            return
        if fault is not None and fault["code"] is None:
            self.server.held.set()
            self.close_connection = True
            threading.Event().wait(30)
            return
        if fault is not None:
            status, kind = 400, "text/xml"
            error = f"<Error><Code>{fault['code']}</Code><Message>as the test wants</Message></Error>"
            answer = f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>".encode()
        self._answer(status, answer, kind)

    def _moto(self, body: bytes) -> tuple[int, bytes, str]:
        connection = HTTPConnection("127.0.0.1", self.server.moto.port, timeout=60)
        try:
            connection.request("POST", self.path, body, dict(self.headers))
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers.get("Content-Type", "text/xml")
        finally:
            connection.close()

    def _price_list(self, asked: dict[str, Any]) -> None:
        wanted = {item["Field"]: item["Value"] for item in asked["Filters"]}
        self.server.calls.append(("GetProducts", wanted))
        price = self.server.prices.get(wanted["instanceType"])
        terms = {"OnDemand": {"A": {"priceDimensions": {"B": {"pricePerUnit": {"USD": f"{price:.10f}"}}}}}} if price else {}
        products = [json.dumps({"product": {}, "terms": terms})] if price else []
        self._answer(200, json.dumps({"PriceList": products}).encode(), "application/x-amz-json-1.1")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


def _disguised(listing: str, fault: dict[str, Any]) -> str:
    """A list of instances (XML) as a fault wants it."""
    if "state" in fault:
        return listing.replace("<name>running</name>", f"<name>{fault['state']}</name>")
    head, *reservations = listing.split("<item><reservationId>")
    tail = reservations[-1].rpartition("</item>")[2] if reservations else ""
    kept = [reservation.rpartition("</item>")[0] for reservation in reservations if fault["hide"] not in reservation]
    return head + "".join(f"<item><reservationId>{reservation}</item>" for reservation in kept) + tail


class Cluster:
    """A configuration, the launcher under one Python, and EC2 as a client of the test's own sees it."""

    def __init__(self, python: str, folder: Path, front: Front, client: Any) -> None:
        self.python, self.folder, self.front, self.client = python, folder, front, client
        self.config = folder / "lab.json"
        self.state = folder / "home" / "clusters" / "lab"
        self.environment = {**CREDENTIALS, "BYZSHIELD_HOME": str(folder / "home"), "HOME": str(folder)}
        self.outputs: list[str] = []
        self.configure()

    def configure(self, **changes: Any) -> None:
        table = {
            "region": "us-east-1",
            "endpoint_url": self.front.url,
            "check_address_url": self.front.url + "/address",
            "image": UBUNTU,
            "market": "on-demand",
            "server": {"instance_type": "c6i.2xlarge"},
            "workers": {"count": 2, "instance_type": "c6i.xlarge"},
            "prices": {"c6i.2xlarge": 0.34, "c6i.xlarge": 0.17},
        }
        # Nobody answers at the addresses that moto makes up, so nobody is asked how hosts are used.
        deadlines = {"look": 0, **changes.pop("deadlines", {"launch": 20})}
        self.config.write_text(json.dumps({**table, **changes, "deadlines": deadlines}))

    def run(self, command: str, *words: str, status: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        options["env"] = {**self.environment, **options.get("env", {})}
        result = run_launcher(self.python, command, "--config", str(self.config), *words, **options)
        self.outputs += [result.stdout, result.stderr]
        assert "Traceback" not in result.stderr, result.stderr
        assert status is None or result.returncode == status, result.stdout + result.stderr
        return result

    def interrupt(self, command: str, *words: str) -> tuple[int, str]:
        """Runs a command until the front holds one of its calls, and then does what Ctrl-C does."""
        process = subprocess.Popen(
            [self.python, str(LAUNCHER), command, "--config", str(self.config), *words],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert self.front.held.wait(30)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
        self.outputs += [stdout, stderr]
        return process.returncode, stderr

    def instances(self, **tags: str) -> list[dict[str, Any]]:
        """Those that are not terminated and carry the tags."""
        found = [item for page in self.client.describe_instances()["Reservations"] for item in page["Instances"]]
        return [
            instance
            for instance in found
            if instance["State"]["Name"] not in ("shutting-down", "terminated")
            and tags.items() <= {pair["Key"]: pair["Value"] for pair in instance.get("Tags", [])}.items()
        ]

    def slots(self) -> dict[str, str]:
        """{slot: instance} of this cluster."""
        tags = {i["InstanceId"]: {pair["Key"]: pair["Value"] for pair in i["Tags"]} for i in self.instances(**self.tag)}
        return {found["byzshield-slot"]: identity for identity, found in tags.items()}

    @property
    def tag(self) -> dict[str, str]:
        return {"byzshield-cluster": "lab"}

    def group(self) -> dict[str, Any]:
        filters = [{"Name": "group-name", "Values": ["byzshield-lab"]}]
        (group,) = self.client.describe_security_groups(Filters=filters)["SecurityGroups"]
        return group

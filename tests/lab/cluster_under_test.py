"""A Magnum cluster for tests: made and asked by the same APIs that the gateway's program uses."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from openstack.connection import Connection

NEWEST = {"OpenStack-API-Version": "container-infra latest"}
GROUP_LABEL = "capi.stackhpc.com/node-group"


def wait_for(what: str, look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Looks until it sees something true, and returns it."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.3)
    return seen


class ClusterUnderTest:
    """One cluster, by Magnum's API."""

    def __init__(self, cloud: Connection, uuid: str) -> None:
        self.uuid = uuid
        self._magnum: Any = cloud.container_infrastructure_management
        self._cloud: Any = cloud

    @property
    def now(self) -> dict[str, Any]:
        """The cluster as Magnum shows it."""
        found: dict[str, Any] = self._magnum.get(f"/clusters/{self.uuid}").json()
        return found

    def settled(self, seconds: float = 90.0) -> dict[str, Any]:
        """Waits until nothing is in progress."""
        wait_for(
            f"cluster {self.uuid} settles",
            lambda: not self.now["status"].endswith("_IN_PROGRESS"),
            seconds,
        )
        return self.now

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """One request below the cluster's address."""
        answer: requests.Response = self._magnum.request(
            f"/clusters/{self.uuid}{path}", method, headers=NEWEST, raise_exc=False, **arguments
        )
        return answer

    def group(self, name: str) -> dict[str, Any] | None:
        """A node group by name."""
        for entry in self.call("GET", "/nodegroups").json()["nodegroups"]:
            if entry["name"] == name:
                found: dict[str, Any] = self.call("GET", f"/nodegroups/{entry['uuid']}").json()
                return found
        return None

    def ask_group(
        self, name: str, flavor: str, *, count: int = 1, low: int = 1, high: int = 1, **more: Any
    ) -> None:
        """Asks for a node group."""
        body = {
            "name": name,
            "flavor_id": flavor,
            "node_count": count,
            "min_node_count": low,
            "max_node_count": high,
        }
        answer = self.call("POST", "/nodegroups", json={**body, **more})
        assert answer.status_code == 202, answer.text

    def group_settled(self, name: str, seconds: float = 60.0) -> dict[str, Any]:
        """Waits until a group is no longer in progress."""

        def look() -> dict[str, Any] | None:
            group = self.group(name)
            return group if group and not group["status"].endswith("_IN_PROGRESS") else None

        found: dict[str, Any] = wait_for(f"group {name} settles", look, seconds)
        return found

    def set_maximum(self, name: str, value: int) -> None:
        """Changes a group's upper bound."""
        group = self.group(name)
        assert group
        patch = [{"op": "replace", "path": "/max_node_count", "value": value}]
        answer = self.call("PATCH", f"/nodegroups/{group['uuid']}", json=patch)
        assert answer.status_code == 202, answer.text

    def delete_group(self, name: str) -> None:
        """Deletes a group and waits until it is gone."""
        group = self.group(name)
        assert group
        assert self.call("DELETE", f"/nodegroups/{group['uuid']}").status_code == 204
        wait_for(f"group {name} is gone", lambda: self.group(name) is None)

    def resize(self, name: str, count: int) -> None:
        """Asks for another node count of a group."""
        answer = self.call("POST", "/actions/resize", json={"nodegroup": name, "node_count": count})
        assert answer.status_code == 202, answer.text

    def servers(self) -> list[Any]:
        """The cluster's servers in Nova."""
        found = self._cloud.compute.servers()
        return [server for server in found if server.metadata.get("lab_cluster") == self.uuid]


class Kubernetes:
    """The cluster's API server, with a client certificate that Magnum signs."""

    def __init__(self, cloud: Connection, cluster: ClusterUnderTest, folder: Path) -> None:
        magnum: Any = cloud.container_infrastructure_management
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, "admin"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
            ]
        )
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        body = {"cluster_uuid": cluster.uuid, "csr": _pem(request)}
        signed = magnum.post("/certificates", json=body).json()["pem"]
        authority = magnum.get(f"/certificates/{cluster.uuid}").json()["pem"]
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        files = {"ca.crt": authority, "admin.crt": signed, "admin.key": private}
        for file, text in files.items():
            (folder / file).write_text(text)
        self.url = cluster.now["api_address"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(folder / "ca.crt")
        self.session.cert = (str(folder / "admin.crt"), str(folder / "admin.key"))

    def call(self, method: str, path: str, body: Any = None, expect: int = 0) -> Any:
        """One request; any success is expected unless a status is named."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self.session.request(
            method, f"{self.url}{path}", json=body, headers={"Content-Type": kind}, timeout=10
        )
        if expect:
            assert answer.status_code == expect, answer.text
        else:
            assert answer.status_code < 400, f"{method} {path}: {answer.text}"
        return answer.json()

    def nodes(self, group: str | None = None) -> list[dict[str, Any]]:
        """The Ready nodes, of all groups or one."""
        found = self.call("GET", "/api/v1/nodes")["items"]
        return [
            node
            for node in found
            if any(
                c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", [])
            )
            and (group is None or node["metadata"]["labels"].get(GROUP_LABEL) == group)
        ]

    def pod(self, name: str, group: str, cpu: str = "100m", **spec: Any) -> None:
        """Makes a pod that has to run on a group's nodes."""
        container = {"name": "main", "image": "busybox", "resources": {"requests": {"cpu": cpu}}}
        body = {
            "metadata": {"name": name},
            "spec": {"nodeSelector": {GROUP_LABEL: group}, "containers": [container], **spec},
        }
        wait_for(
            "the namespace's service account",
            lambda: self.session.get(f"{self.url}/api/v1/namespaces/default/serviceaccounts/default").ok,
        )
        self.call("POST", "/api/v1/namespaces/default/pods", body)

    def phase(self, pod: str) -> str:
        """A pod's phase."""
        return str(self.call("GET", f"/api/v1/namespaces/default/pods/{pod}")["status"]["phase"])

    def delete_pod(self, pod: str) -> None:
        """Deletes a pod."""
        self.call("DELETE", f"/api/v1/namespaces/default/pods/{pod}")

    def event(self, about: str, reason: str) -> str | None:
        """The text of an event about an object, or None."""
        path = f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={about},reason={reason}"
        found = self.call("GET", path)["items"]
        return str(found[0]["message"]) if found else None


def _pem(request: x509.CertificateSigningRequest) -> str:
    return request.public_bytes(serialization.Encoding.PEM).decode()

"""What the chart promises, read from what it renders for three values files; and the operators' kinds against the
parts of their schemas that are used."""
import ipaddress
import sys
import yaml

folder = sys.argv[1]


def load(name):
    with open(f"{folder}/{name}.yaml") as f:
        return [doc for doc in yaml.safe_load_all(f) if doc]


def of(docs, kind, name=None):
    found = [d for d in docs if d["kind"] == kind and name in (None, d["metadata"]["name"])]
    assert found, f"no {kind} {name or ''}"
    return found if name is None else found[0]


def restricted(spec, where):
    """The pod security standard `restricted`."""
    pod = spec.get("securityContext", {})
    assert pod["runAsNonRoot"] and pod["seccompProfile"]["type"] == "RuntimeDefault", where
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        assert not spec.get(key), where
    for volume in spec["volumes"]:
        kinds = set(volume) - {"name"}
        assert kinds <= {"secret", "emptyDir", "persistentVolumeClaim", "configMap", "projected"}, (where, kinds)
    for container in spec["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False and own["capabilities"] == {"drop": ["ALL"]}, where
        assert own["readOnlyRootFilesystem"] is True and "add" not in own["capabilities"], where
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"], where
        for port in container.get("ports", []):
            assert "hostPort" not in port, where
    assert spec["automountServiceAccountToken"] is False, where


def flows(docs, pod, way, port, peer=None, ip=None, namespace=None):
    """Whether the network policies of `docs` let a pod with these labels have such a connection."""
    key, ends = {"in": ("ingress", "from"), "out": ("egress", "to")}[way]
    mine = [p["spec"] for p in of(docs, "NetworkPolicy") if p["spec"]["podSelector"]["matchLabels"].items() <= pod.items()]
    mine = [p for p in mine if key.capitalize() in p["policyTypes"]]
    assert mine, "no policy closes it"

    def meant(one):
        if "ipBlock" in one:
            return ip is not None and ipaddress.ip_address(ip) in ipaddress.ip_network(one["ipBlock"]["cidr"])
        if "namespaceSelector" in one:
            return namespace is not None and one["namespaceSelector"]["matchLabels"].items() <= namespace.items()
        return peer is not None and one["podSelector"]["matchLabels"].items() <= peer.items()

    return any(
        (not rule.get("ports") or any(p["port"] == port for p in rule["ports"]))
        and (not rule.get(ends) or any(meant(one) for one in rule[ends]))
        for policy in mine
        for rule in policy[key]
    )


def pods(docs):
    """The pods of each part: their metadata and specification."""
    found = {d["metadata"]["name"]: d["spec"]["template"] for d in of(docs, "Deployment")}
    for job in [d for d in docs if d["kind"] == "MPIJob"]:
        found |= {kind: spec["template"] for kind, spec in job["spec"]["mpiReplicaSpecs"].items()}
    return found


MONITORING = {"kubernetes.io/metadata.name": "monitoring"}

for values in ("small", "cloud", "huge"):
    docs = load(values)
    for name, pod in pods(docs).items():
        labels, where = pod["metadata"]["labels"], f"{values}: {name}"
        assert flows(docs, labels, "out", 53, ip="10.96.0.10"), f"{where}: no names"
        assert not flows(docs, labels, "out", 25, ip="192.0.2.1"), f"{where}: mail"
        assert not flows(docs, labels, "in", 22, peer={"app": "other"}), f"{where}: reached by anybody"
        # A pod is told by its cloud who it is, unless keys say so.
        assert flows(docs, labels, "out", 80, ip="169.254.169.254") == (values != "small"), where
        assert flows(docs, labels, "out", 988, ip="169.254.169.252") == (values != "small"), where
        assert pod["spec"].get("imagePullSecrets", []) == ([] if values == "small" else [{"name": "registry"}]), where
    for name, port in (("t-gateway", 8080), ("t-notifier", 8081), ("t-dispatcher", 9464)):
        assert flows(docs, pods(docs)[name]["metadata"]["labels"], "in", port, namespace=MONITORING), f"{values}: {name} is not scraped"
    text = yaml.safe_dump_all(docs)
    assert "secretKeyRef" not in text, "secrets are files, not variables"
    for deployment in of(docs, "Deployment"):
        where = f"{values}: {deployment['metadata']['name']}"
        spec = deployment["spec"]["template"]["spec"]
        restricted(spec, where)
        (container,) = spec["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = "/readyz" if probe == "readinessProbe" else "/healthz"
            assert container[probe]["httpGet"]["path"] == asked, f"{where}: a broker's absence restarts nothing"
            port = container[probe]["httpGet"]["port"]
            assert port in [p["name"] for p in container["ports"]], f"{where}: {probe} asks a port that is not there"
        assert container["readinessProbe"]["timeoutSeconds"] >= 4, f"{where}: busy cores answer late"
        selector = deployment["spec"]["selector"]["matchLabels"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert selector.items() <= labels.items(), where
        secrets = [v for v in spec["volumes"] if "secret" in v]
        assert secrets[0]["secret"]["defaultMode"] & 0o022 == 0, f"{where}: others may write the tokens"
    dispatcher = of(docs, "Deployment", "t-dispatcher")["spec"]["template"]["spec"]
    drain = next(a for a in dispatcher["containers"][0]["args"] if a.startswith("--drain="))
    assert dispatcher["terminationGracePeriodSeconds"] > int(drain.split("=")[1]), "killed before the drain is over"
    assert of(docs, "PodDisruptionBudget", "t-dispatcher")["spec"]["maxUnavailable"] == 1
    policy = of(docs, "NetworkPolicy", "t")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    for service in of(docs, "Service"):
        meant = [p for p in pods(docs).values() if service["spec"]["selector"].items() <= p["metadata"]["labels"].items()]
        assert len(meant) == 1, service["metadata"]["name"]
        grace, (container,) = meant[0]["spec"]["terminationGracePeriodSeconds"], meant[0]["spec"]["containers"]
        pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        assert pause >= 5 and grace >= pause + 10 + 5, "requests still come when it has ended, or it is killed at them"

small, cloud, huge = load("small"), load("cloud"), load("huge")
assert of(small, "Deployment", "t-dispatcher")["spec"]["replicas"] == 1
assert "AWS_SECRET_ACCESS_KEY_FILE" in str(small) and "AWS_SECRET_ACCESS_KEY_FILE" not in str(cloud)


def variables(docs, name):
    (container,) = of(docs, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    return {v["name"]: v.get("value") for v in container["env"]}


assert variables(small, "t-gateway")["SUNDOG_S3_PUBLIC_ENDPOINT"] == "http://127.0.0.1:9000", "links lead into the cluster"
collector = variables(cloud, "t-dispatcher")["OTEL_EXPORTER_OTLP_ENDPOINT"]
assert flows(cloud, pods(cloud)["t-dispatcher"]["metadata"]["labels"], "out", int(collector.rsplit(":", 1)[1]), ip="10.0.0.1"), "no spans"
accounts = {a["metadata"]["name"]: a["metadata"]["annotations"]["iam.gke.io/gcp-service-account"] for a in of(cloud, "ServiceAccount")}
assert accounts["t-gateway"].startswith("sundog-gateway@") and accounts["t-dispatcher"].startswith("sundog-dispatcher@"), accounts
for name, pod in pods(cloud).items():
    assert pod["spec"]["serviceAccountName"] == name, "an account of its own"

scaled = of(cloud, "ScaledObject", "t-dispatcher")["spec"]
assert "replicas" not in of(cloud, "Deployment", "t-dispatcher")["spec"], "the chart and KEDA would both set the number"
assert scaled["scaleTargetRef"] == {"name": "t-dispatcher"} and scaled["maxReplicaCount"] == 40
queues = {t["metadata"]["queueName"]: t["metadata"] for t in scaled["triggers"]}
assert set(queues) == {"sundog.jobs", "sundog.tasks"}, "one that scales from none must see jobs, too"
assert queues["sundog.tasks"]["value"] == "2" and queues["sundog.tasks"]["mode"] == "QueueLength"
auth = of(cloud, "TriggerAuthentication", scaled["triggers"][0]["authenticationRef"]["name"])
assert auth["spec"]["secretTargetRef"] == [{"parameter": "host", "name": "sundog", "key": "broker"}]
monitor, podded = of(cloud, "ServiceMonitor", "t")["spec"], of(cloud, "PodMonitor", "t")["spec"]
assert monitor["endpoints"][0]["authorization"]["credentials"] == {"name": "sundog-metrics", "key": "token"}
assert podded["podMetricsEndpoints"][0]["port"] == "metrics"
for kind in (monitor, podded):
    # Alerts ask for up{job="sundog"}: the job is what this label says.
    assert of(cloud, "Service", "t-gateway")["metadata"]["labels"][kind["jobLabel"]] == "sundog"
assert of(cloud, "Ingress", "t")["spec"]["tls"][0]["hosts"] == ["sundog.example.org"]
gateway = of(cloud, "NetworkPolicy", "t-gateway")["spec"]["ingress"][0]
assert gateway["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "ingress-nginx"}

job = of(huge, "MPIJob", "t-mosaic")["spec"]
assert job["slotsPerWorker"] == 8 and job["mpiReplicaSpecs"]["Worker"]["replicas"] == 16
for kind, spec in job["mpiReplicaSpecs"].items():
    restricted(spec["template"]["spec"], kind)
assert job["launcherCreationPolicy"] == "WaitForWorkersReady", "mpirun gives up while nodes are made"
world = pods(huge)["Worker"]["metadata"]["labels"]
assert world == pods(huge)["Launcher"]["metadata"]["labels"]
for port in (2222, 1024, 40000):
    for way in ("in", "out"):
        assert flows(huge, world, way, port, peer=world), f"the world's pods do not reach each other at {port}"
    assert not flows(huge, world, "in", port, peer=pods(huge)["t-gateway"]["metadata"]["labels"]), port
assert "livenessProbe" not in pods(huge)["Worker"]["spec"]["containers"][0]
assert pods(huge)["Worker"]["spec"]["containers"][0]["readinessProbe"]["tcpSocket"]["port"] == "ssh"
launcher = job["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]
assert launcher["args"][:2] == ["-n", "128"] and launcher["args"][-1] == "/shared/mosaic.toml"

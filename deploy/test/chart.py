"""What the chart promises, read from what it renders for three values files; and the operators' kinds against the
parts of their schemas that are used."""
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


for values in ("small", "cloud", "huge"):
    docs = load(values)
    text = yaml.safe_dump_all(docs)
    assert "secretKeyRef" not in text, "secrets are files, not variables"
    for deployment in of(docs, "Deployment"):
        where = f"{values}: {deployment['metadata']['name']}"
        spec = deployment["spec"]["template"]["spec"]
        restricted(spec, where)
        (container,) = spec["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["path"] in ("/healthz", "/readyz"), where
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", f"{where}: a broker's absence restarts nothing"
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
        pods = [d["spec"]["template"]["metadata"]["labels"] for d in of(docs, "Deployment")]
        assert sum(service["spec"]["selector"].items() <= p.items() for p in pods) == 1, service["metadata"]["name"]

small, cloud, huge = load("small"), load("cloud"), load("huge")
assert of(small, "Deployment", "t-dispatcher")["spec"]["replicas"] == 1
assert "AWS_SECRET_ACCESS_KEY_FILE" in str(small) and "AWS_SECRET_ACCESS_KEY_FILE" not in str(cloud)

scaled = of(cloud, "ScaledObject", "t-dispatcher")["spec"]
assert "replicas" not in of(cloud, "Deployment", "t-dispatcher")["spec"], "the chart and KEDA would both set the number"
assert scaled["scaleTargetRef"] == {"name": "t-dispatcher"} and scaled["maxReplicaCount"] == 40
queues = {t["metadata"]["queueName"]: t["metadata"] for t in scaled["triggers"]}
assert set(queues) == {"sundog.jobs", "sundog.tasks"}, "one that scales from none must see jobs, too"
assert queues["sundog.tasks"]["value"] == "2" and queues["sundog.tasks"]["mode"] == "QueueLength"
auth = of(cloud, "TriggerAuthentication", scaled["triggers"][0]["authenticationRef"]["name"])
assert auth["spec"]["secretTargetRef"] == [{"parameter": "host", "name": "sundog", "key": "broker"}]
monitor, pods = of(cloud, "ServiceMonitor", "t")["spec"], of(cloud, "PodMonitor", "t")["spec"]
assert monitor["endpoints"][0]["authorization"]["credentials"] == {"name": "sundog-metrics", "key": "token"}
assert pods["podMetricsEndpoints"][0]["port"] == "metrics"
assert of(cloud, "Ingress", "t")["spec"]["tls"][0]["hosts"] == ["sundog.example.org"]
gateway = of(cloud, "NetworkPolicy", "t-gateway")["spec"]["ingress"][0]
assert gateway["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "ingress-nginx"}

job = of(huge, "MPIJob", "t-mosaic")["spec"]
assert job["slotsPerWorker"] == 8 and job["mpiReplicaSpecs"]["Worker"]["replicas"] == 16
for kind, spec in job["mpiReplicaSpecs"].items():
    restricted(spec["template"]["spec"], kind)
launcher = job["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]
assert launcher["args"][:2] == ["-n", "128"] and launcher["args"][-1] == "/shared/mosaic.toml"

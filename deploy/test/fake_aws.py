"""Runs terraform/boot/cloud-aws with the real command line of AWS against moto, which answers as Secrets Manager, EC2 and
CloudWatch do, and a metadata server that wants sessions (IMDSv2)."""
import http.server
import os
import subprocess
import sys
import threading

import boto3
from moto.server import ThreadedMotoServer


class Metadata(http.server.BaseHTTPRequestHandler):
    def answer(self, code, text=""):
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        good = self.path == "/latest/api/token" and int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) <= 21600
        self.answer(200 if good else 400, "session")

    def do_GET(self):
        if self.headers["X-aws-ec2-metadata-token"] != "session":
            return self.answer(401)
        self.answer(200, {"/latest/meta-data/placement/region": "eu-west-1", "/latest/meta-data/local-ipv4": "10.0.0.3"}[self.path])

    def log_message(self, *_):
        pass


meta = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
threading.Thread(target=meta.serve_forever, daemon=True).start()
moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
moto.start()
host, port = moto.get_host_and_port()
os.environ |= {"AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t", "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
env = {**os.environ, "SUNDOG_PREFIX": "t", "SUNDOG_METADATA": f"http://127.0.0.1:{meta.server_port}/latest"}


def cloud(*words, given=b""):
    return subprocess.run(["bash", sys.argv[1], *words], input=given, env=env, capture_output=True)


def client(name):
    return boto3.client(name, region_name="eu-west-1")


client("secretsmanager").create_secret(Name="t-agent")
assert cloud("secret-get", "agent").returncode != 0, "a secret without a version"
key = b"-----BEGIN KEY-----\n" + os.urandom(80).hex().encode() + b"\n-----END KEY-----\n"
added = cloud("secret-add", "agent", given=key)
assert added.returncode == 0, added.stderr
assert client("secretsmanager").get_secret_value(SecretId="t-agent")["SecretString"].encode() == key
assert cloud("secret-get", "agent").stdout.strip() == key.strip()

machines, addresses = client("ec2"), []
for group in ("t-world", "t-world", "t-dispatcher"):
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "aws:autoscaling:groupName", "Value": group}]}]
    made = machines.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=tags)["Instances"][0]
    if group == "t-world":
        addresses.append(made["PrivateIpAddress"])
got = cloud("peers", "t-world").stdout.decode().split()
assert sorted(got) == sorted(addresses), (got, addresses)
assert cloud("address").stdout == b"10.0.0.3"
assert cloud("env").stdout == b"AWS_REGION=eu-west-1\n"
told = cloud("metric", "17")
assert told.returncode == 0, told.stderr
(metric,) = client("cloudwatch").list_metrics(Namespace="Sundog")["Metrics"]
assert metric["MetricName"] == "WaitingTasks" and metric["Dimensions"] == [{"Name": "Deployment", "Value": "t"}], metric
moto.stop()

"""Runs terraform/boot/cloud-gcp against a server that answers as the metadata server, Secret Manager, Compute Engine
and Monitoring do, and refuses requests without the machine's token."""
import base64
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse

secrets, told = {}, []


class Cloud(http.server.BaseHTTPRequestHandler):
    def answer(self, value, code=200):
        body = value.encode() if isinstance(value, str) else json.dumps(value, indent=2).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/meta/"):
            if self.headers["Metadata-Flavor"] != "Google":
                return self.answer("", 403)
            return self.answer({
                "/meta/project/project-id": "p1",
                "/meta/instance/zone": "projects/1/zones/europe-west1-b",
                "/meta/instance/network-interfaces/0/ip": "10.0.0.3",
                "/meta/instance/service-accounts/default/token": json.dumps({"access_token": "t0k.en", "expires_in": 9}),
            }[path])
        if self.headers["Authorization"] != "Bearer t0k.en":
            return self.answer("", 401)
        if path.endswith("/instances"):
            asked = urllib.parse.parse_qs(self.path.split("?")[1])["filter"]
            assert asked == ["(labels.deployment=t) AND (labels.role=world) AND (status=RUNNING)"], asked
            hosts = [{"networkInterfaces": [{"networkIP": ip}]} for ip in ("10.0.0.20", "10.0.0.3")]
            return self.answer({"items": hosts})
        name = path.removeprefix("/secrets/projects/p1/secrets/").removesuffix("/versions/latest:access")
        if name in secrets:
            return self.answer({"name": name, "payload": {"data": secrets[name], "dataCrc32c": "1"}})
        self.answer({"error": "none"}, 404)

    def do_POST(self):
        if self.headers["Authorization"] != "Bearer t0k.en":
            return self.answer("", 401)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith(":addVersion"):
            secrets[self.path.split("/")[-1].removesuffix(":addVersion")] = body["payload"]["data"]
        else:
            told.append(body["timeSeries"][0])
        self.answer({})

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
env = {**os.environ, "SUNDOG_PREFIX": "t", "SUNDOG_METADATA": f"{base}/meta", "SUNDOG_SECRETS_API": f"{base}/secrets",
       "SUNDOG_COMPUTE_API": f"{base}/compute", "SUNDOG_MONITORING_API": f"{base}/monitoring"}


def cloud(*words, given=b""):
    return subprocess.run(["bash", sys.argv[1], *words], input=given, env=env, capture_output=True)


key = b"-----BEGIN KEY-----\n" + os.urandom(80).hex().encode() + b"\n-----END KEY-----\n"
assert cloud("secret-get", "agent").returncode != 0, "a secret that there is not"
assert cloud("secret-add", "agent", given=key).returncode == 0
assert base64.b64decode(secrets["t-agent"]) == key
assert cloud("secret-get", "agent").stdout == key
assert cloud("peers", "t-world").stdout == b"10.0.0.20\n10.0.0.3\n"
assert cloud("address").stdout == b"10.0.0.3"
assert cloud("metric", "17").returncode == 0
assert told[0]["points"][0]["value"] == {"doubleValue": 17} and told[0]["metric"]["labels"] == {"deployment": "t"}

"""Takes one image through a gateway behind a proxy: page, upload, job, events as they come, result."""
import json
import ssl
import sys
import time
import urllib.request

base, token, ca, image = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)


def ask(path, body=None, method=None, bearer=True, raw=None, headers=None):
    url = path if path.startswith("http") else base + path
    assert url.startswith(base), f"a link that leads past the proxy: {url.split('?')[0]}"
    request = urllib.request.Request(url, data=raw if raw is not None else json.dumps(body).encode() if body is not None else None, method=method)
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    if bearer:
        request.add_header("Authorization", f"Bearer {token}")
    if body is not None:
        request.add_header("Content-Type", "application/json")
    return urllib.request.urlopen(request, context=tls, timeout=30)


page = ask("", bearer=False)
assert b"<title>" in page.read() and page.headers["Strict-Transport-Security"]
with open(image, "rb") as f:
    content = f.read()
upload = json.load(ask("v1/uploads", {"files": [{"name": "a.jpg", "bytes": len(content)}]}))
slot = upload["files"][0]
ask(slot["url"], method=slot["method"], raw=content, bearer=False, headers=slot.get("headers"))
job = json.load(ask("v1/jobs", {"version": 1, "inputs": upload["inputs"], "pipeline": "gaussian(sigma=2)"}))["job"]
begun = time.monotonic()
seen = []
events = ask(f"v1/jobs/{job}/events")
for line in events:
    if line.startswith(b"data:"):
        event = json.loads(line[5:])
        seen.append(event["event"])
        if event["event"] == "job_finished":
            assert event["state"] == "succeeded", event
            break
assert "task_finished" in seen and time.monotonic() - begun < 20, seen
results = json.load(ask(f"v1/jobs/{job}/results"))
link = (results.get("outputs") or results.get("results") or results.get("files"))[0]
got = ask(link["url"], bearer=False).read()
assert got[:2] == b"\xff\xd8" and len(got) > 1000

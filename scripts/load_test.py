"""Users who submit images to a gateway, all at once or at a rate: how long each step takes, and what fails.

Called by scripts/load-test, which starts what is to be loaded. Writes requests.csv, summary.json and chart.svg.
"""
import argparse
import asyncio
import csv
import hashlib
import json
import random
import statistics
import sys
import time
from pathlib import Path

import aiohttp

STEPS = ("upload", "accept", "done", "fetch")
# A gateway that is busy says so; a client that gives it a moment is no failure.
PATIENCE = 30
BUSY = {429, 502, 503, 504}


class Refused(Exception):
    """An answer that is neither success nor a plea to come later."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--tokens", required=True, help="file with a token in each line; users take them in turn")
    parser.add_argument("--images", required=True, help="directory of images to send")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=1, help="jobs of each user, one after the other")
    parser.add_argument("--rate", type=float, help="jobs a second that begin, instead of --jobs")
    parser.add_argument("--duration", type=float, default=30, help="seconds for which jobs begin, with --rate")
    parser.add_argument("--mix", default="single=1", help="kinds of jobs and their weights, as single=9,batch=1")
    parser.add_argument("--batch", type=int, default=20, help="images of a batch")
    parser.add_argument("--pipeline", default="gaussian(sigma=2)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--looks", type=float, default=0, help="then: seconds for which users look at lists, jobs and results")
    parser.add_argument("--pause", type=float, default=1, help="mean seconds between two looks of a user")
    parser.add_argument("--timeout", type=float, default=300, help="seconds after which a job counts as failed")
    parser.add_argument("--output", required=True)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def mix(text, batch):
    sizes = {"single": 1, "batch": batch}
    kinds, weights = [], []
    for part in text.split(","):
        kind, _, weight = part.partition("=")
        if kind not in sizes or not weight.replace(".", "", 1).isdigit():
            sys.exit(f"--mix: expected kinds among {', '.join(sizes)} with weights, as single=9,batch=1; got `{part}`")
        kinds.append((kind, sizes[kind]))
        weights.append(float(weight))
    return kinds, weights


class User:
    def __init__(self, options, session, token, images):
        self.options, self.session, self.images = options, session, images
        self.headers = {"authorization": f"Bearer {token}"}
        self.made = []

    async def call(self, method, path, **more):
        """A request that waits where it is asked to."""
        end = time.monotonic() + PATIENCE
        while True:
            headers = self.headers | more.pop("headers", {}) if "headers" in more else self.headers
            async with self.session.request(method, f"{self.options.gateway}/{path}", headers=headers, **more) as answer:
                if answer.status in BUSY and time.monotonic() < end:
                    await answer.read()
                    await asyncio.sleep(float(answer.headers.get("retry-after", 1)) * random.uniform(0.5, 1.5))
                    continue
                if answer.status >= 300:
                    raise Refused(f"{method} {path.split('/')[1]}: {answer.status}")
                return await answer.json()

    async def upload(self, count):
        chosen = [random.choice(self.images) for _ in range(count)]
        files = [{"name": f"{n:04}-{name}", "bytes": len(data)} for n, (name, data) in enumerate(chosen)]
        announced = await self.call("POST", "v1/uploads", json={"files": files})
        contents = {file["name"]: data for file, (_, data) in zip(files, chosen)}
        for place in announced["files"]:
            await self.put(place, contents[place["name"]])
        return announced["inputs"]

    async def put(self, place, data):
        """Sends a file; waits where it is asked to, as where more files of one user arrive than have places."""
        end = time.monotonic() + PATIENCE
        while True:
            async with self.session.request(place["method"], place["url"], headers=place.get("headers", {}), data=data) as answer:
                if answer.status < 300:
                    return
                if answer.status not in BUSY or time.monotonic() >= end:
                    raise Refused(f"PUT object: {answer.status}")
                wait = float(answer.headers.get("retry-after", 1))
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))

    async def ended(self, job):
        """Waits for the end of a job: by its events, and by looking where there is no seat for that."""
        url = f"{self.options.gateway}/v1/jobs/{job}/events"
        timeout = aiohttp.ClientTimeout(total=self.options.timeout, sock_read=60)
        try:
            async with self.session.get(url, headers=self.headers, timeout=timeout) as answer:
                if answer.status == 200:
                    async for line in answer.content:
                        if line.startswith(b"data:") and b'"job_finished"' in line:
                            return json.loads(line[5:])["state"]
        except (aiohttp.ClientError, asyncio.TimeoutError):
            pass
        end = time.monotonic() + self.options.timeout
        while time.monotonic() < end:
            status = await self.call("GET", f"v1/jobs/{job}")
            if status["state"] in ("succeeded", "partial", "failed", "cancelled"):
                return status["state"]
            await asyncio.sleep(0.5)
        raise Refused("the job did not end in time")

    async def fetch(self, job, count):
        results = await self.call("GET", f"v1/jobs/{job}/results")
        if len(results["results"]) != count:
            raise Refused(f"{len(results['results'])} outputs of {count}")
        for output in results["results"]:
            async with self.session.get(output["url"]) as answer:
                data = await answer.read()
                if answer.status != 200 or hashlib.sha256(data).hexdigest() != output["sha256"]:
                    raise Refused("an output is not what its hash says")

    async def look(self, took):
        """One of the looks that the page takes, as often as each other."""
        job = random.choice(self.made)
        name, path = random.choice((("list", "v1/jobs"), ("status", f"v1/jobs/{job}"), ("results", f"v1/jobs/{job}/results")))
        start = time.monotonic()
        async with self.session.get(f"{self.options.gateway}/{path}", headers=self.headers) as answer:
            await answer.read()
            ok = answer.status == 200
        took.append((name if ok else f"{name}: {answer.status}", (time.monotonic() - start) * 1e3))

    async def looks(self, took):
        end = time.monotonic() + self.options.looks
        # Not all at the same moment.
        await asyncio.sleep(random.uniform(0, self.options.pause))
        while self.made and time.monotonic() < end:
            await self.look(took)
            await asyncio.sleep(random.uniform(0.5, 1.5) * self.options.pause)

    async def job(self, kind, count, began):
        row = {"kind": kind, "images": count, "began": time.monotonic() - began, "outcome": "succeeded"}
        start = time.monotonic()

        def step(name):
            row[name] = (time.monotonic() - start) * 1e3

        try:
            inputs = await self.upload(count)
            step("upload")
            spec = {"inputs": inputs, "pipeline": self.options.pipeline}
            job = (await self.call("POST", "v1/jobs", json=spec))["job"]
            step("accept")
            self.made.append(job)
            state = await self.ended(job)
            step("done")
            if state != "succeeded":
                raise Refused(f"the job ended as {state}")
            await self.fetch(job, count)
            step("fetch")
        except Refused as error:
            row["outcome"] = str(error)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            row["outcome"] = type(error).__name__
        return row


async def load(options):
    images = [(path.name, path.read_bytes()) for path in sorted(Path(options.images).iterdir()) if path.is_file()]
    tokens = Path(options.tokens).read_text().split()
    kinds, weights = mix(options.mix, options.batch)
    random.seed(options.seed)
    connector = aiohttp.TCPConnector(limit=0)
    rows = []
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=options.timeout)) as session:
        users = [User(options, session, tokens[n % len(tokens)], images) for n in range(options.users)]
        began = time.monotonic()

        async def one(user):
            (kind, count), = random.choices(kinds, weights)
            rows.append(await user.job(kind, count, began))

        async def several(user):
            for _ in range(options.jobs):
                await one(user)

        if options.rate:
            tasks, at = [], 0.0
            while at < options.duration:
                await asyncio.sleep(max(0.0, began + at - time.monotonic()))
                tasks.append(asyncio.create_task(one(users[len(tasks) % len(users)])))
                # Whoever comes does not ask when the last one came.
                at += random.expovariate(options.rate)
            await asyncio.gather(*tasks)
        else:
            await asyncio.gather(*(several(user) for user in users))
        took, looks = time.monotonic() - began, []
        if options.looks:
            await asyncio.gather(*(user.looks(looks) for user in users))
        return rows, took, looks


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else None


def looked(options, looks):
    """How long each kind of look took; others than successes are kinds of their own."""
    kinds = {}
    for name, ms in looks:
        kinds.setdefault(name, []).append(ms)
    found = {}
    for name, values in sorted(kinds.items()):
        found[name] = {"count": len(values), "per_s": round(len(values) / options.looks, 1)}
        found[name] |= {f"p{int(p * 100)}_ms": round(percentile(values, p), 1) for p in (0.5, 0.95, 0.99)}
    return found


def summary(options, rows, took):
    good = [row for row in rows if row["outcome"] == "succeeded"]
    errors = {}
    for row in rows:
        if row["outcome"] != "succeeded":
            errors[row["outcome"]] = errors.get(row["outcome"], 0) + 1
    steps = {}
    for name in STEPS:
        values = [row[name] for row in good]
        steps[name] = {f"p{int(p * 100)}_ms": round(percentile(values, p), 1) for p in (0.5, 0.95, 0.99)} if values else {}
        if values:
            steps[name]["mean_ms"] = round(statistics.fmean(values), 1)
    images = sum(row["images"] for row in good)
    return {
        "users": options.users, "jobs": len(rows), "succeeded": len(good), "errors": errors, "seconds": round(took, 2),
        "jobs_per_s": round(len(good) / took, 1), "images_per_s": round(images / took, 1), "since_begin": steps,
        "pipeline": options.pipeline, "mix": options.mix, "rate": options.rate,
    }


def chart(rows, path):
    """Each job as a dot: when it began, and how long it took until its end was told."""
    good = [row for row in rows if "done" in row]
    width, height, left, bottom = 900, 420, 70, 50
    most_x = max((row["began"] for row in rows), default=1) or 1
    most_y = max((row["done"] for row in good), default=1) or 1
    x = lambda value: left + value / most_x * (width - left - 20)
    y = lambda value: height - bottom - value / most_y * (height - bottom - 30)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{left}" y="18">Time from the first request to the told end of each job (ms), by when it began (s)</text>',
    ]
    for n in range(6):
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(most_y * n / 5):.1f}" y2="{y(most_y * n / 5):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y(most_y * n / 5) + 4:.1f}" text-anchor="end">{most_y * n / 5:.0f}</text>')
        parts.append(f'<text x="{x(most_x * n / 5):.1f}" y="{height - 22}" text-anchor="middle">{most_x * n / 5:.2f}</text>')
    for share, colour in ((0.5, "#1a7f37"), (0.95, "#bf8700"), (0.99, "#cf222e")):
        value = percentile([row["done"] for row in good], share)
        if value is not None:
            parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{colour}" stroke-dasharray="6 4"/>')
            parts.append(f'<text x="{width - 24}" y="{y(value) - 4:.1f}" text-anchor="end" fill="{colour}">p{int(share * 100)} {value:.0f} ms</text>')
    for row in rows:
        failed = row["outcome"] != "succeeded"
        cy = y(row.get("done", most_y))
        parts.append(f'<circle cx="{x(row["began"]):.1f}" cy="{cy:.1f}" r="2.5" fill="{"#cf222e" if failed else "#0969da"}" fill-opacity="0.5"/>')
    path.write_text("\n".join(parts) + "\n</svg>\n")


def main():
    options = arguments()
    rows, took, looks = asyncio.run(load(options))
    out = Path(options.output)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "requests.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["began", "kind", "images", *STEPS, "outcome"])
        writer.writeheader()
        for row in sorted(rows, key=lambda row: row["began"]):
            writer.writerow({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
    found = summary(options, rows, took)
    if looks:
        found["looks"] = looked(options, looks)
    (out / "summary.json").write_text(json.dumps(found, indent=2) + "\n")
    chart(rows, out / "chart.svg")
    if options.json:
        print(json.dumps(found))
    else:
        print(f"{found['succeeded']} of {found['jobs']} jobs of {options.users} users in {found['seconds']} s: "
              f"{found['jobs_per_s']} jobs/s, {found['images_per_s']} images/s")
        print(f"{'since the first request, ms':28} {'p50':>9} {'p95':>9} {'p99':>9}")
        for name, text in zip(STEPS, ("uploaded", "accepted", "end told", "outputs fetched")):
            values = found["since_begin"][name]
            if values:
                print(f"{text:28} {values['p50_ms']:9} {values['p95_ms']:9} {values['p99_ms']:9}")
        for name, values in found.get("looks", {}).items():
            print(f"{name + ', ' + str(values['per_s']) + '/s, ms':28} {values['p50_ms']:9} {values['p95_ms']:9} {values['p99_ms']:9}")
        for error, count in sorted(found["errors"].items()):
            print(f"failed: {count} x {error}")
        print(f"each request: {out}/requests.csv, chart: {out}/chart.svg")
    return 0 if found["succeeded"] == found["jobs"] else 1


if __name__ == "__main__":
    sys.exit(main())

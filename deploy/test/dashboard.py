"""Prints the expressions of a dashboard as recording rules, for promtool; fails where one names a metric that
docs/observability.md does not."""
import json
import re
import sys

board, docs = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
known = set(re.findall(r"^\| `(sundog_[a-z_]+)`", docs, re.M))
assert len(known) > 20, "the list of metrics was not found"
rules, panels = [], 0


def panel(one):
    global panels
    panels += 1
    assert one.get("description"), f"{one['title']}: no description"
    for target in one["targets"]:
        expr = target["expr"]
        for name in re.findall(r"sundog_[a-z_]+", expr):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in known or base in known, f"{one['title']}: there is no metric {name}"
        for variable, value in (("$__rate_interval", "1m"), ("$instance", ".*")):
            expr = expr.replace(variable, value)
        assert "$" not in expr, f"{one['title']}: an unknown variable in {expr}"
        rules.append(expr)


for row in board["panels"]:
    for one in [row] if row["type"] != "row" else row.get("panels", []):
        panel(one)
assert panels > 20, panels
unused = {n for n in known if not any(n in r for r in rules)} - {"sundog_queue_poll_failures_total"}
assert not unused, f"metrics that no panel shows: {sorted(unused)}"
print("groups:\n  - name: panels\n    rules:")
for number, expr in enumerate(rules):
    print(f"      - record: panel:{number}\n        expr: {json.dumps(expr)}")

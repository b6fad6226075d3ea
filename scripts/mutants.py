"""Runs cargo-mutants' list of mutants with one build.

cargo-mutants builds and links the tests anew for every mutant. Here all mutants of its list are written into a copy of the
sources at once, each behind a switch that an environment variable turns on, so that what a mutant costs is the tests alone.
Mutants that do not compile are taken out again, as cargo-mutants does. Called by scripts/mutants.
"""
import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import tree_sitter_rust
from tree_sitter import Language, Parser

ROOT = Path(__file__).resolve().parent.parent
SWITCH = """
/// Which mutant is on.
pub(crate) mod mutant {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static ON: AtomicUsize = AtomicUsize::new(usize::MAX);
    #[cold]
    fn read() -> usize {
        let on = std::env::var("SUNDOG_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        ON.store(on, Ordering::Relaxed);
        on
    }
    #[inline]
    pub(crate) fn on(id: usize) -> bool {
        let on = ON.load(Ordering::Relaxed);
        (if on == usize::MAX { read() } else { on }) == id
    }
}
"""


class File:
    """One source file, its tree, and what of it is replaced by which mutants."""

    def __init__(self, path, text, mutants):
        self.path, self.text, self.mutants = path, text, mutants
        self.tree = Parser(Language(tree_sitter_rust.language())).parse(text)
        starts = [0] + [m.end() for m in re.finditer(b"\n", text)]
        self.offset = lambda at: starts[at["line"] - 1] + len(self.line(starts, at))

    def line(self, starts, at):
        # Columns count characters.
        return self.text[starts[at["line"] - 1] :].split(b"\n", 1)[0].decode()[: at["column"] - 1].encode()

    def node(self, start, end, kinds, field=None):
        """The smallest node of one of these kinds whose part lies exactly there, or that holds it."""
        node = self.tree.root_node.descendant_for_byte_range(start, end)
        while node is not None and node.type not in kinds:
            node = node.parent
        return node

    def place(self, mutant):
        """-> (start, end, alternative text, form) of the text that the mutant changes."""
        start, end = self.offset(mutant["span"]["start"]), self.offset(mutant["span"]["end"])
        genre, to = mutant["genre"], mutant["replacement"].encode()
        raw = lambda a, b: self.text[a:b]
        if genre == "FnValue":
            return (start, end, to, "body")
        if genre == "BinaryOperator":
            node = self.node(start, end, ("binary_expression", "compound_assignment_expr"))
            if node is None or raw(node.child_by_field_name("operator").start_byte, node.child_by_field_name("operator").end_byte) != raw(start, end):
                return None
            return (node.start_byte, node.end_byte, raw(node.start_byte, start) + to + raw(end, node.end_byte), "expression")
        if genre == "UnaryOperator":
            node = self.node(start, end, ("unary_expression",))
            if node is None:
                return None
            return (node.start_byte, node.end_byte, raw(node.start_byte, start) + to + raw(end, node.end_byte), "expression")
        if genre == "MatchArmGuard":
            return (start, end, to, "expression")
        if genre == "MatchArm":
            node = self.node(start, end, ("match_arm",))
            pattern = node.child_by_field_name("pattern")
            guard = pattern.child_by_field_name("condition")
            if guard is None:
                return (pattern.end_byte, pattern.end_byte, b"", "arm")
            return (guard.start_byte, guard.end_byte, b"false", "expression")
        if genre == "StructField":
            return None  # needs `..Default::default()` in place: left to cargo-mutants
        return None

    def render(self, dropped):
        """The text with all mutants behind their switches, and where in it each stands: (start, end, id)."""
        places, lost = {}, []
        for mutant in self.mutants:
            place = self.place(mutant)
            if place is None:
                lost.append(mutant)
            elif mutant["id"] not in dropped:
                start, end, to, form = place
                places.setdefault((start, end, form), []).append((mutant["id"], to))
        order = sorted(places, key=lambda p: (p[0], -p[1], p[2] != "body"))
        out, spans = bytearray(), []

        def emit(start, end, todo):
            at = start
            while todo:
                (s, e, form), todo = todo[0], todo[1:]
                inner = [p for p in todo if p[1] <= e and p[0] >= s]
                todo = [p for p in todo if not (p[1] <= e and p[0] >= s)]
                out.extend(self.text[at:s])
                choices = places[(s, e, form)]
                if form == "arm":
                    first = len(out)
                    out.extend(b" if !(" + b" || ".join(b"crate::mutant::on(%d)" % i for i, _ in choices) + b")")
                    spans.extend((first, len(out), i) for i, _ in choices)
                elif form == "body":
                    # A body in braces: what the function gives instead stands at its beginning.
                    brace = self.text[s : s + 1] == b"{"
                    if brace:
                        out.extend(b"{")
                    for i, to in choices:
                        first = len(out)
                        out.extend(b" if crate::mutant::on(%d) { return " % i + to + b"; } ")
                        spans.append((first, len(out), i))
                    emit(s + brace, e, inner)
                else:
                    out.extend(b"(")
                    for i, to in choices:
                        first = len(out)
                        out.extend(b"if crate::mutant::on(%d) { " % i + to + b" } else ")
                        spans.append((first, len(out), i))
                    out.extend(b"{ ")
                    emit(s, e, inner)
                    out.extend(b" })")
                at = e
            out.extend(self.text[at:end])

        emit(0, len(self.text), order)
        return bytes(out), spans, lost


def limits():
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))


def build(tree, files, mutants, run, known):
    """Writes all mutants in and takes those out that do not compile. -> those left, unviable, lost

    The file `known` keeps the names of those, so that a run that goes on finds nothing changed and builds nothing.
    """
    names = set(known.read_text().splitlines()) if known.exists() else set()
    dropped, lost = {m["id"] for m in mutants if m["name"] in names}, []
    while True:
        spans, lost = {}, []
        for file in files:
            text, where, gone = file.render(dropped)
            if (tree / file.path).read_bytes() != text:
                (tree / file.path).write_bytes(text)
            spans[file.path], lost = where, lost + gone
        out = run(["cargo", "check", "--quiet", "--message-format=json", "--package", "sundog-imaging", "--tests"])
        bad, other = set(), []
        for line in out.stdout.splitlines():
            message = json.loads(line).get("message") if line.startswith("{") else None
            if not message or message.get("level") != "error":
                continue
            hit = {
                i
                for span in message["spans"]
                for start, end, i in spans.get(span["file_name"], [])
                if start <= span["byte_start"] < end or span["byte_start"] <= start < span["byte_end"]
            }
            # Of several at one place the innermost is meant.
            bad |= hit
            if not hit and message["spans"]:
                other.append(message["rendered"])
        if out.returncode == 0:
            known.write_text("".join(m["name"] + "\n" for m in mutants if m["id"] in dropped))
            return [m for m in mutants if m["id"] not in dropped and m not in lost], dropped, lost
        if not bad:
            sys.exit("mutants: the sources with switches do not compile:\n" + "\n".join(other) + out.stderr)
        print(f"mutants: {len(bad)} do not compile", flush=True)
        dropped |= bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("list", type=Path, help="what `cargo mutants --list --json` printed")
    parser.add_argument("tree", type=Path, help="a copy of the project that may be changed")
    parser.add_argument("--target", type=Path, required=True, help="where it is built")
    parser.add_argument("--report", type=Path, required=True, help="a JSON line for each mutant; those in it are not run again")
    parser.add_argument("--filter", action="append", default=[], help="nextest's filters, run one after another until one fails")
    args = parser.parse_args()

    mutants = json.loads(args.list.read_text())
    for number, mutant in enumerate(mutants, 1):
        mutant["id"] = number
    by_file = {}
    for mutant in mutants:
        if mutant["function"] is None:
            mutant["genre"] = "Constant"  # a switch is no constant
        by_file.setdefault(mutant["file"], []).append(mutant)
    files = [File(path, (ROOT / path).read_bytes(), of) for path, of in by_file.items()]
    lib = args.tree / "imaging/src/lib.rs"
    if "mod mutant" not in lib.read_text():
        lib.write_text(lib.read_text() + SWITCH)

    environment = dict(os.environ, CARGO_TARGET_DIR=str(args.target), CARGO_INCREMENTAL="0")

    def run(command, **more):
        return subprocess.run(command, cwd=args.tree, text=True, capture_output=True, env={**environment, **more})

    viable, unviable, lost = build(args.tree, files, mutants, run, args.report.with_suffix(".unviable"))
    print(f"mutants: {len(mutants)} in the list, {len(viable)} compile, {len(unviable)} do not, {len(lost)} need cargo-mutants itself")
    for mutant in lost:
        print("  not switched:", mutant["name"])
    made = run(["cargo", "nextest", "run", "--package", "sundog-imaging", "--no-run"])
    if made.returncode:
        sys.exit(made.stderr)

    def tests(number, expression):
        return subprocess.run(
            ["cargo", "nextest", "run", "--package", "sundog-imaging", "-E", expression, "--fail-fast",
             "--tool-config-file", f"mutants:{args.tree}/.config/mutants.toml", "--profile", "mutants", "--no-tests", "pass"],
            cwd=args.tree, text=True, capture_output=True, preexec_fn=limits, env={**environment, "SUNDOG_MUTANT": str(number)},
        )

    (args.tree / ".config").mkdir(exist_ok=True)
    (args.tree / ".config/mutants.toml").write_text('[profile.mutants]\nslow-timeout = { period = "30s", terminate-after = 4 }\n')
    for expression in args.filter:
        sound = tests(0, expression)
        if sound.returncode:
            sys.exit("mutants: the tests fail without a mutant:\n" + sound.stdout[-2000:] + sound.stderr[-3000:])
    done = {}
    if args.report.exists():
        done = {entry["name"]: entry for entry in map(json.loads, args.report.read_text().splitlines())}
    # In an order that is random but always the same: an interrupted run is a fair sample.
    random.Random(1).shuffle(viable)
    with args.report.open("a") as report:
        for count, mutant in enumerate(viable, 1):
            if mutant["name"] in done:
                continue
            began, caught = time.monotonic(), None
            for expression in args.filter:
                out = tests(mutant["id"], expression)
                if out.returncode:
                    failed = re.search(r"(?:FAIL|TIMEOUT|SIG\w+|ABORT) \[.*?\] *(?:\([^)]*\))? *(.+)", out.stderr)
                    caught = failed.group(1).strip() if failed else "?"
                    break
            entry = {"name": mutant["name"], "caught": caught, "seconds": round(time.monotonic() - began, 1)}
            report.write(json.dumps(entry) + "\n")
            report.flush()
            done[mutant["name"]] = entry
            print(f"{count}/{len(viable)} {'caught' if caught else 'MISSED'} {mutant['name']}  ({entry['seconds']} s{', ' + caught if caught else ''})", flush=True)
    known = [done[m["name"]] for m in viable if m["name"] in done]
    missed = [entry for entry in known if not entry["caught"]]
    print(f"mutants: {len(known) - len(missed)} of {len(known)} caught ({100 * (len(known) - len(missed)) / max(1, len(known)):.1f} %)")
    for entry in missed:
        print("  missed:", entry["name"])


main()

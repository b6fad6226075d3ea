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
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tree_sitter_rust
from tree_sitter import Language, Parser

ROOT = Path(__file__).resolve().parent.parent
SWITCH = """
/// Which mutant is on.
pub(crate) mod mutant {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    static ON: AtomicUsize = AtomicUsize::new(usize::MAX);
    static SEEN: [AtomicBool; 4096] = [const { AtomicBool::new(false) }; 4096];
    #[cold]
    fn read() -> usize {
        let told = std::env::var_os("SUNDOG_MUTANT_SEEN").is_some();
        let on = std::env::var("SUNDOG_MUTANT").ok().and_then(|text| text.parse().ok());
        let on = if told { usize::MAX - 1 } else { on.unwrap_or(0) };
        ON.store(on, Ordering::Relaxed);
        on
    }
    /// Says once that somebody came by here.
    #[cold]
    fn tell(id: usize) {
        if !SEEN[id].swap(true, Ordering::Relaxed) {
            let path = std::env::var_os("SUNDOG_MUTANT_SEEN").unwrap();
            let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
            file.write_all(format!("{id}\n").as_bytes()).unwrap();
        }
    }
    #[inline]
    pub(crate) fn on(id: usize) -> bool {
        let mut on = ON.load(Ordering::Relaxed);
        if on == usize::MAX {
            on = read();
        }
        if on == usize::MAX - 1 {
            tell(id);
        }
        on == id
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
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


class Test:
    """One test, run in a process of its own, as nextest does."""

    def __init__(self, suite, program, folder, case):
        self.name, self.program, self.folder, self.case = f"{suite} {case}", program, folder, case
        self.reached, self.seconds = set(), 0.0

    def run(self, patience, **environment):
        """-> whether it passed"""
        command = [self.program, "--exact", self.case, "--test-threads", "1"]
        # The group, so that an endless loop ends with all that it started.
        child = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, **environment, "CARGO_MANIFEST_DIR": self.folder}, start_new_session=True, preexec_fn=limits,
        )
        try:
            return child.wait(patience) == 0
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return False

    def sound(self, file):
        began = time.monotonic()
        if not self.run(600, SUNDOG_MUTANT_SEEN=str(file)):
            sys.exit(f"mutants: {self.name} fails without a mutant")
        self.seconds = time.monotonic() - began
        self.reached = set(map(int, file.read_text().split())) if file.exists() else set()

    def passes(self, mutant):
        return self.run(20 + 10 * self.seconds, SUNDOG_MUTANT=str(mutant))


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
    parser.add_argument("--explained", type=Path, required=True, help="lines of a mutant's place and change, a tab, and why no result can tell it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants tried at a time")
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
    listed = run(["cargo", "nextest", "list", "--package", "sundog-imaging", "--message-format", "json"])
    if listed.returncode:
        sys.exit(listed.stderr)
    suites = json.loads(listed.stdout)["rust-suites"].values()
    tests = [Test(s["binary-id"], s["binary-path"], s["cwd"], name) for s in suites for name, case in s["testcases"].items() if not case["ignored"]]

    # Once without a mutant: which test comes by which switch, and how long it takes.
    with tempfile.TemporaryDirectory() as seen, ThreadPoolExecutor(os.cpu_count()) as pool:
        def first(numbered):
            file = Path(seen) / str(numbered[0])
            numbered[1].sound(file)
        list(pool.map(first, enumerate(tests)))
    tests.sort(key=lambda test: test.seconds)
    print(f"mutants: {len(tests)} tests pass without a mutant, in {sum(t.seconds for t in tests):.0f} s", flush=True)

    done = {}
    if args.report.exists():
        done = {entry["name"]: entry for entry in map(json.loads, args.report.read_text().splitlines())}
    # In an order that is random but always the same: an interrupted run is a fair sample.
    random.Random(1).shuffle(viable)
    todo = [mutant for mutant in viable if mutant["name"] not in done]
    lock = threading.Lock()
    with args.report.open("a") as report, ThreadPoolExecutor(args.jobs) as pool:
        def one(mutant):
            began = time.monotonic()
            near = [test for test in tests if mutant["id"] in test.reached]
            caught = next((test.name for test in near if not test.passes(mutant["id"])), None)
            entry = {"name": mutant["name"], "caught": caught, "tests": len(near), "seconds": round(time.monotonic() - began, 1)}
            with lock:
                report.write(json.dumps(entry) + "\n")
                report.flush()
                done[mutant["name"]] = entry
                by = f", {caught}" if caught else ""
                print(f"{len(done)}/{len(viable)} {'caught' if caught else 'MISSED'} {mutant['name']}  ({entry['seconds']} s of {len(near)} tests{by})", flush=True)
        list(pool.map(one, todo))
    known = [done[m["name"]] for m in viable if m["name"] in done]
    missed = [entry["name"] for entry in known if not entry["caught"]]
    reasons = dict(line.split("\t") for line in args.explained.read_text().splitlines() if line and not line.startswith("#"))
    # Lines move: a place is its function and what is changed there.
    reason = lambda name: reasons.get(re.sub(r"^imaging/src/(\S+\.rs):\d+:\d+: ", r"\1: ", name))
    told = [(name, reason(name)) for name in missed]
    caught, equal = len(known) - len(missed), sum(why is not None for _, why in told)
    share = 100 * caught / max(1, len(known) - equal)
    print(f"mutants: {caught} of {len(known)} caught, {equal} of those missed make no difference; of the others {share:.1f} % are caught")
    for name, why in told:
        print(f"  missed: {name}" + (f"  ({why})" if why else "  NOT EXPLAINED"))
    if len(known) < len(viable) or share < 95:
        sys.exit(1)


main()

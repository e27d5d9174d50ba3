"""Would a learned classifier over the facts find what the rules leave alone? Measures, and prints.

    python -m benchmarks.audit.learning

A logistic regression over facts of one Python file: what the engine infers that it reaches, its
findings of low severity, and counts of the syntax tree. It is trained on the files of `behaviours`
(as many malicious as harmless ones) and on modules of packages that many people trust, and asked
about families of behaviour and about packages that it has not seen. Every step is deterministic.
"""

import ast
import importlib.util
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.audit.behaviours import FAMILIES, samples

from heimnetz_audit import Severity, SourceTree
from heimnetz_audit.examining import Examiner, Outcome

TRAINING_SEEDS = range(1, 4)
#: Kept aside.
SEEDS = range(100, 103)
FOLDS = 4
ROUNDS = 200
RATE = 0.5
SHRINKAGE = 0.001
#: Of the harmless files that it was trained on so many may be sent to a person.
FALSE_SHARE = 0.01
TRAINED_ON = "anyio click fastapi jinja2 rich structlog".split()
TRUSTED = "httpx markdown_it nats pydantic starlette typer uvicorn".split()
MODULES = {
    "network": "socket requests urllib http httpx aiohttp ftplib smtplib dns websockets",
    "programs": "subprocess pty os shutil multiprocessing",
    "machine": "ctypes winreg cffi mmap",
    "encoding": "base64 zlib codecs marshal pickle binascii",
    "capture": "pynput pyperclip mss cv2 sounddevice pyautogui",
    "identity": "platform getpass uuid psutil pwd",
}
CALLS = {
    "dynamic": "exec eval compile __import__ getattr setattr",
    "joined": "join chr ord fromhex decode",
    "waiting": "sleep Timer",
    "walking": "walk glob rglob expanduser home",
    "starting": "system popen Popen run call spawn execv",
    "sending": "post urlopen send sendall sendto upload_file request",
}
PRIVATE = re.compile(
    r"\.ssh|\.aws|id_rsa|wallet|keystore|Login Data|cookies|passw|shadow|\.netrc|\.git-cred|tdata"
)
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
SHELL = re.compile(r"\b(?:curl|wget|bash|sh|nohup|crontab|chmod|/dev/tcp)\b")


@dataclass(frozen=True)
class Case:
    """A file, and what the rules say: the severity of the worst finding, or None."""

    group: str
    is_malicious: bool
    facts: tuple[float, ...]
    worst: Severity | None


def facts(text: str, outcome: Outcome) -> dict[str, float]:
    """Every fact by its name, in one order; none depends on what names mean."""
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    longest = max(texts, key=len, default="")
    called = Counter(_called(node) for node in nodes if isinstance(node, ast.Call))
    imported = Counter(name.partition(".")[0] for name in _imported(nodes))
    # Beside a module's size: a long one has some of everything.
    size = 1 + math.log1p(len(nodes))
    found: dict[str, int] = {
        **{f"imports {kind}": _count(imported, names) for kind, names in MODULES.items()},
        **{f"calls {kind}": _count(called, names) for kind, names in CALLS.items()},
        **{f"reaches {kind}": len(seen) for kind, seen in vars(outcome.reach).items()},
        "findings of low": sum(each.severity is Severity.LOW for each in outcome.findings),
        "private names": sum(bool(PRIVATE.search(each)) for each in texts),
        "addresses": sum(bool(ADDRESS.search(each)) for each in texts),
        "words of shells": sum(bool(SHELL.search(each)) for each in texts),
        "swallowed errors": sum(
            isinstance(node, ast.ExceptHandler) and isinstance(node.body[0], ast.Pass)
            for node in nodes
        ),
        "calls at import": sum(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in tree.body
        ),
        "endless loops": sum(
            isinstance(node, ast.While) and isinstance(node.test, ast.Constant) for node in nodes
        ),
        "exclusive ors": sum(
            isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor) for node in nodes
        ),
    }
    scaled = {name: math.log1p(count) / size for name, count in found.items()}
    return scaled | {"strange text": _entropy(longest) / 8 if len(longest) > 60 else 0.0}


def _count(seen: Counter[str], names: str) -> int:
    return sum(seen[name] for name in names.split())


def _called(node: ast.Call) -> str:
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _entropy(text: str) -> float:
    counts = sorted(Counter(text).values())
    return -math.fsum(n / len(text) * math.log2(n / len(text)) for n in counts)


class Regression:
    """Weights by full-batch descent from zero, on facts brought to mean 0 and deviation 1."""

    def __init__(self, cases: Sequence[Case]) -> None:
        columns = list(zip(*(case.facts for case in cases), strict=True))
        self._means = [sum(column) / len(column) for column in columns]
        self._scales = [
            math.sqrt(sum((x - m) ** 2 for x in column) / len(column)) or 1.0
            for column, m in zip(columns, self._means, strict=True)
        ]
        self.weights = [0.0] * len(columns)
        self.bias = 0.0
        self._train([self._scaled(case.facts) for case in cases], [c.is_malicious for c in cases])
        harmless = sorted(self.points(c.facts) for c in cases if not c.is_malicious)
        self.threshold = harmless[int(len(harmless) * (1 - FALSE_SHARE))]

    def _scaled(self, facts: Sequence[float]) -> list[float]:
        return [(x - m) / s for x, m, s in zip(facts, self._means, self._scales, strict=True)]

    def _train(self, rows: list[list[float]], wanted: list[bool]) -> None:
        # Both kinds weigh the same, however many there are of each.
        shares = {kind: 0.5 / wanted.count(kind) for kind in (True, False)}
        for _ in range(ROUNDS):
            slopes = [0.0] * len(self.weights)
            slope = 0.0
            for row, is_malicious in zip(rows, wanted, strict=True):
                error = (self._chance(row) - is_malicious) * shares[is_malicious]
                slope += error
                for place, x in enumerate(row):
                    slopes[place] += error * x
            self.bias -= RATE * slope
            self.weights = [
                w - RATE * (s + SHRINKAGE * w) for w, s in zip(self.weights, slopes, strict=True)
            ]

    def _chance(self, row: Sequence[float]) -> float:
        sum_ = self.bias + sum(w * x for w, x in zip(self.weights, row, strict=True))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, sum_))))

    def points(self, facts: Sequence[float]) -> float:
        return self._chance(self._scaled(facts))

    def flags(self, case: Case) -> bool:
        return self.points(case.facts) > self.threshold


def authored(seeds: Iterable[int]) -> Iterator[Case]:
    for seed in seeds:
        for sample in samples(seed):
            tree = SourceTree.from_files({"sample.py": sample.text.encode()})
            outcome = Examiner(tree, ("sample.py",)).examine("sample.py")
            yield _case(sample.family, sample.text, outcome, is_malicious=sample.is_malicious)


def trusted(packages: Iterable[str]) -> Iterator[Case]:
    for package in packages:
        spec = importlib.util.find_spec(package)
        assert spec is not None, package
        assert spec.origin is not None, package
        tree = SourceTree.from_path(Path(spec.origin).parent)
        names = tuple(sorted(name for name in tree.files if name.endswith(".py")))
        examiner = Examiner(tree, names)
        for name in names:
            text = tree.files[name].decode()
            if text.strip():
                yield _case(package, text, examiner.examine(name), is_malicious=False)


def _case(group: str, text: str, outcome: Outcome, *, is_malicious: bool) -> Case:
    worst = max((finding.severity for finding in outcome.findings), default=None)
    return Case(group, is_malicious, tuple(facts(text, outcome).values()), worst)


def by_rules(case: Case, least: Severity = Severity.MEDIUM) -> bool:
    return case.worst is not None and case.worst >= least


def report(name: str, cases: Sequence[Case], flagged: Sequence[bool]) -> None:
    hits = sum(case.is_malicious and f for case, f in zip(cases, flagged, strict=True))
    wrong = sum(f for f in flagged) - hits
    there = sum(case.is_malicious for case in cases)
    recall = f"{hits / there:.3f}" if there else "-"
    precision = f"{hits / (hits + wrong):.3f}" if hits + wrong else "-"
    print(f"| {name} | {precision} | {recall} | {wrong} of {len(cases) - there} |")


def main() -> None:
    old, new = list(authored(TRAINING_SEEDS)), list(authored(SEEDS))
    trained_on, others = list(trusted(TRAINED_ON)), list(trusted(TRUSTED))
    names = list(FAMILIES)
    judged: list[tuple[Case, bool]] = []
    alarms: list[list[bool]] = []
    for fold in range(FOLDS):
        kept_aside = set(names[fold::FOLDS])
        model = Regression([c for c in old if c.group not in kept_aside] + trained_on)
        judged += [(case, model.flags(case)) for case in new if case.group in kept_aside]
        alarms.append([model.flags(case) for case in others])
    cases = [case for case, _ in judged]
    learned = [flag for _, flag in judged]
    print(f"{len(cases)} files of families that were kept aside, half of them malicious\n")
    print("| what | precision | recall | harmless ones flagged |\n| --- | --- | --- | --- |")
    for least in (Severity.MEDIUM, Severity.HIGH):
        rules = [by_rules(case, least) for case in cases]
        both = [a or b for a, b in zip(rules, learned, strict=True)]
        report(f"rules, {least.label} and above", cases, rules)
        report(f"rules, {least.label} and above, or classifier", cases, both)
    report("classifier alone", cases, learned)
    rules = [by_rules(case) for case in others]
    print(f"\n{len(others)} modules of {len(TRUSTED)} trusted packages that were kept aside\n")
    print(f"flagged by the rules, medium and above: {sum(rules)}")
    for fold, flags in enumerate(alarms):
        more = [c.group for c, f, r in zip(others, flags, rules, strict=True) if f and not r]
        print(f"by the classifier alone, fold {fold}: {len(more)}, in {len(set(more))} packages")
    model = Regression(old + trained_on)
    labels = facts("x = 1", Outcome())
    weights = sorted(zip(model.weights, labels, strict=True), key=lambda each: -abs(each[0]))
    print("\nheaviest facts, trained on everything:")
    for weight, name in weights[:10]:
        print(f"  {weight:+.2f} {name}")


if __name__ == "__main__":
    main()

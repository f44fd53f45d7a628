"""The figures, each beside its target: as a table to read and as one to compute with."""

import statistics
from dataclasses import dataclass

REACHED, MISSED = "reached", "missed"


@dataclass(frozen=True)
class Target:
    """At most (or at least) `limit`, of a unit or as a multiple of a peer's figure in the same run."""

    limit: float
    peer: str | None = None
    unit: str = ""
    at_least: bool = False
    users: int | None = None

    def __str__(self):
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.limit:g} × {self.peer}" if self.peer else f"{sign} {amount(self.limit, self.unit)}"

    def verdict(self, value):
        return REACHED if (value >= self.limit if self.at_least else value <= self.limit) else MISSED


# In the order of the table.
TARGETS = {
    "name-hit": ("name hit", [Target(1.1, "sss"), Target(0.05, "cache")]),
    "uid-hit": ("uid hit", [Target(0.8, "sss"), Target(0.03, "cache")]),
    "name-miss": ("name miss", [Target(2000, unit="ns", users=100_000), Target(0.15, "cache")]),
    "group": ("group by name, 250 members", [Target(0.7, "sss")]),
    "initgroups-5": ("initgroups, 5 groups", [Target(1.0, "sss")]),
    "initgroups-500": ("initgroups, 500 groups", [Target(0.7, "sss")]),
    "process": ("whole process, hit", [Target(1.1, "sss"), Target(1.25, "files")]),
    "getent-miss": ("getent, miss", [Target(1.25, "files")]),
    "id": ("id", [Target(1.35, "files")]),
    "ls": ("ls -l with 200 owners, uids beside each other", [Target(1.1, "files")]),
    "ls-scattered": ("ls -l with 200 owners, uids all over", [Target(1.1, "files")]),
    "memory": ("private memory after 10 000 lookups", [Target(48, unit="KiB")]),
    "descriptors": ("descriptors kept", [Target(0)]),
    "calls-hit": ("system calls of a warm hit", [Target(0)]),
    "calls-miss": ("system calls of a warm miss", [Target(1)]),
    "size": (".so", [Target(400_000, unit="bytes")]),
    "needed": ("DT_NEEDED besides libc and ld.so", [Target(0)]),
    "threads": ("two threads on two cores", [Target(1.5, "one", at_least=True)]),
    "million": ("name hit, a million users", [Target(0.1, "cache")]),
    "publication": ("publication after one new person", [Target(60, unit="ms", users=100_000)]),
}


@dataclass(frozen=True)
class Line:
    """One target and what was measured: `value` is a ratio where the target names a peer, else an amount."""

    row: str
    users: int
    target: Target
    value: float
    ours: float
    peer: float | None
    unit: str
    quartiles: tuple | None = None
    remark: str = ""

    @property
    def verdict(self):
        return self.target.verdict(self.value)


def amount(value, unit):
    if unit == "us":
        value, unit = value * 1000, "ns"
    if unit == "ns":
        size, unit = (1e6, "ms") if value >= 1e6 else (1e3, "µs") if value >= 1e3 else (1, "ns")
        return f"{value / size:.3g} {unit}"
    if unit == "per s":
        return f"{value / 1e6:.3g} M/s"
    text = f"{value:,.0f}".replace(",", " ") if value >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def ratio(figures, peer):
    """The median of the ratios of each round, whose figures were taken within milliseconds of each other: what else the
    machine does weighs on both."""
    return statistics.median(_ratios(figures, peer))


def _ratios(figures, peer):
    return [figure / peer[n] for n, figure in figures.items() if n in peer]


def lines(row, users, unit, rounds, remark=""):
    """Lines of a row from {service: {round: figure}}."""
    ours = statistics.median(rounds["oauth2"].values())
    for target in TARGETS[row][1]:
        if target.users not in (None, users):
            continue
        if target.peer is None:
            yield Line(row, users, target, ours, ours, None, unit, remark=remark)
            continue
        peer = rounds[target.peer]
        quartiles = tuple(statistics.quantiles(_ratios(rounds["oauth2"], peer), n=4)[::2])
        yield Line(row, users, target, ratio(rounds["oauth2"], peer), ours, statistics.median(peer.values()), unit,
                   quartiles, remark)


def plain(row, users, value, unit="", remark=""):
    """A line without rounds."""
    return [Line(row, users, target, value, value, None, unit, remark=remark)
            for target in TARGETS[row][1] if target.users in (None, users)]


def show(found):
    """A line for each target, a column for each user set, in Markdown that is also readable as it is."""
    sizes = sorted({line.users for line in found if line.users}) or [0]
    rows = [["", "target", *(f"{size:,} users".replace(",", " ") for size in sizes)]]
    for row, (title, targets) in TARGETS.items():
        for target in targets:
            lines_of = [line for line in found if (line.row, line.target) == (row, target)]
            cells = [_cell([line for line in lines_of if (line.users or sizes[0]) == size]) for size in sizes]
            if any(cells):
                rows.append([title, str(target), *cells])
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    remarks = [f"{TARGETS[line.row][0]}{f', {line.users} users' if line.users else ''}: {line.remark}"
               for line in found if line.remark]
    return "\n".join([*text, "", *remarks])


def _cell(lines):
    for line in lines:
        if line.target.peer is None:
            return f"{line.verdict}: {amount(line.value, line.unit)}"
        ratio = f"{line.value:.3f}" if line.value < 0.1 else f"{line.value:.2f}"
        return f"{line.verdict}: {ratio} × ({amount(line.ours, line.unit)} to {amount(line.peer, line.unit)})"
    return ""


def tab_separated(found, medians):
    text = ["kind\trow\tusers\tservice\tvalue\tunit\ttarget\tlower_quartile\tupper_quartile\tverdict"]
    for line in found:
        low, high = line.quartiles or ("", "")
        text.append("\t".join(map(str, (
            "target", line.row, line.users, line.target.peer or "oauth2", f"{line.value:.6g}",
            f"x {line.target.peer}" if line.target.peer else line.unit, line.target, low and f"{low:.6g}",
            high and f"{high:.6g}", line.verdict))))
    for (row, users, service, unit), value in medians.items():
        text.append(f"median\t{row}\t{users}\t{service}\t{value:.6g}\t{unit}\t\t\t\t")
    return "\n".join(text) + "\n"

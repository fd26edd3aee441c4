"""The tables of `benchmarks.serving`."""

from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from experiments import markdown

OURS, TWO = "service", "service, 2 workers"
BEFORE = "service before"
FASTAPI, TORCH = "FastAPI + onnxruntime", "FastAPI + PyTorch"
OVERLOAD = 128  # connections
Row = dict[str, Any]


def write_report(found: dict[str, Any], out: Path) -> str:
    """Write serving.md.

    Args:
        found: What `benchmarks.serving` measured.
        out: An existing folder.

    Returns:
        The text.
    """
    lines = ["# Speed of the service", "", "Written by `python -m benchmarks.serving`.", ""]
    lines += [f"- {name}: {value}" for name, value in found["machine"].items()]
    client = median(way["client_ms"] for row in found["rows"] for way in row["ways"].values())
    lines += [
        "",
        "Requests per second (in brackets: milliseconds, median and 99th percentile) of one process that computes on"
        " one thread, asked by wrk over kept connections on the loopback, each asking anew once answered. `limit` is"
        " the same work in a loop on one core: graphs, pictures and JSON, without HTTP. The plain servers do that very"
        " work behind FastAPI, on uvloop and httptools, with our PNG encoder and orjson, and log requests as the"
        " service does; their replies are the service's byte for byte (PyTorch's weights are random). Servers in one"
        " row were asked in turn, round by round, and the fastest round counts. Neither they nor, for this comparison,"
        " the service refuse anyone. Rows whose queue would take longer than four seconds to empty are left out."
        " `load` is the machine's, with what others do.",
        "",
        f"wrk took {client:.3f} ms of CPU per request (median), and shares the cores with the server that it asks.",
        "",
        "## In short",
        "",
        *_summary(found["rows"]),
        "",
        "## Requests per second",
        "",
        *_rates(found["rows"]),
        "",
        "## CPU per request, in milliseconds",
        "",
        "Of the server's whole process or processes.",
        "",
        *_cpu(found["rows"]),
        "",
        "## Start and memory",
        "",
        *_servers(found["servers"]),
        "",
        "## Overload",
        "",
        *_overload(found["overload"]),
    ]
    text = "\n".join(lines) + "\n"
    (out / "serving.md").write_text(text)
    return text


def _names(rows: list[Row]) -> list[str]:
    return list(rows[0]["ways"])


def _summary(rows: list[Row]) -> list[str]:
    """Ratios within rows, so of what ran under the same load."""
    plain = [name for name in (FASTAPI, TORCH, BEFORE) if name in _names(rows)]
    titles = ["connections", "rate / limit", *(f"rate / {name}" for name in plain)]
    titles += ["CPU of the limit / CPU", *(f"CPU of {name} / CPU" for name in plain), "p99 / median"]
    lines = []
    for connections in dict.fromkeys(row["connections"] for row in rows):
        chosen = [(row["ways"][OURS], row) for row in rows if row["connections"] == connections]
        ratios = [
            [ours["rps"] / row["limit"]["rps"] for ours, row in chosen],
            *([ours["rps"] / row["ways"][name]["rps"] for ours, row in chosen] for name in plain),
            [row["limit"]["cpu_ms"] / ours["cpu_ms"] for ours, row in chosen],
            *([row["ways"][name]["cpu_ms"] / ours["cpu_ms"] for ours, row in chosen] for name in plain),
            [ours["p99_ms"] / ours["p50_ms"] for ours, _ in chosen],
        ]
        lines.append([f"{connections}", *map(_spread, ratios)])
    return [
        *markdown.table(titles, lines),
        "",
        "Geometric means over the kinds of request, in brackets the lowest and the highest; more is better, but for"
        " p99 / median. Where others use much of the machine (see above), rates and latencies are the scheduler's doing"
        " more than the servers', and a server may even seem faster than the limit: then only CPU times say something.",
    ]


def _spread(values: list[float]) -> str:
    return f"{geometric_mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _rates(rows: list[Row]) -> list[str]:
    names = _names(rows)
    lines = []
    for row in rows:
        ways, ours = row["ways"], row["ways"][OURS]["rps"]
        cells = [_rate(ways[name]) for name in names]
        others = [row["limit"], *(ways[name] for name in (FASTAPI, BEFORE) if name in names)]
        cells += [f"{ours / other['rps']:.2f}" for other in others]
        lines.append([row["case"], f"{row['connections']}", f"{row['load']}", f"{row['limit']['rps']:.4g}", *cells])
    titles = ["request", "connections", "load", "limit", *names, "service / limit", "service / FastAPI"]
    titles += ["service / before"] if BEFORE in names else []
    return markdown.table(titles, lines)


def _rate(way: dict[str, float]) -> str:
    failed = way["refused"] + way["broken"]
    times = f"{way['rps']:.4g} ({way['p50_ms']:.3g}, {way['p99_ms']:.3g})"
    return f"{times}, {failed:.0f} failed" if failed else times


def _cpu(rows: list[Row]) -> list[str]:
    names = _names(rows)
    lines = []
    for row in rows:
        taken = [row["limit"], *(row["ways"][name] for name in names)]
        lines.append([row["case"], f"{row['connections']}", *(f"{way['cpu_ms']:.3g}" for way in taken)])
    return markdown.table(["request", "connections", "limit", *names], lines)


def _servers(servers: dict[str, dict[str, float]]) -> list[str]:
    titles = ["server", "ready after, s", "memory when ready, MB", "after all requests, MB"]
    rows = [
        [name, f"{told['ready_s']:.1f}", f"{told['start_mb']:.0f}", f"{told['end_mb']:.0f}"]
        for name, told in servers.items()
    ]
    lines = markdown.table(titles, rows)
    note = "Two workers are three processes, and pages that they share count in each."
    return [*lines, "", note] if TWO in servers else lines


def _overload(found: dict[str, float]) -> list[str]:
    seconds = found["requests"] / found["rps"]
    answered = found["requests"] - found["refused"]
    return [
        f"With its own limits, asked for `/sample.png` of 16 by {OVERLOAD} clients that do not wait after a 429, the"
        f" service answered {answered / seconds:.4g} requests per second, {found['answered_ms']:.3g} ms after it took"
        f" them on (mean; {found['compute_ms']:.3g} ms of it computing), and refused {found['refused'] / seconds:.4g}"
        f" per second at once; {found['broken']:.0f} were left without an answer.",
    ]

"""Tables of what steps cost and of peers beside ours, as lines of Markdown."""

from collections import defaultdict

import numpy as np
from markdown import mean_and_deviation, table

PROFILE_HEADER = """\
## What a training step costs

Milliseconds of one step and of its stages; billions of operations, those of matrix
products and convolutions, padding counted; and which share of the machine's peak the
step as a whole reaches:

{peaks}.

Times are of the {time}, with {threads} thread(s) of {processor}.
`benchmarks/profiling.py` makes these runs; [notes](speed.md) say what follows.
"""

PROFILE_COLUMNS = ("Step", "Images", "Precision", "Batch", "ms", "10⁹", "Share")

PASSES_HEADER = """\
Seconds for 10,000 samples on the same {threads} thread(s), and of
`import skdeepcluster` after other imports:
"""

SPEED_HEADER = """\
## Side by side

Every run has a process of its own, one after the other, with as many threads for
everyone. ACC, NMI and ARI are means over seeds. Seconds are those of the clock and, in
brackets, of the processor; *warm-up* is what UMAP compiles first, in seconds more. MiB
is the peak of the whole process. `benchmarks/speed.py` makes these runs, and says what
exactly each does. `clustpy-*` and `ours-*` do the same work, in as many epochs of
pretraining and of finetuning as the data set's name says: *times faster* is ours by the
seconds of the same seed in the same invocation, and in brackets by the processor's.
"""

SPEED_COLUMNS = (
    *("Data", "Method", "Threads", "Seeds", "ACC", "worst", "NMI", "ARI"),
    *("Seconds", "Warm-up", "MiB", "Times faster"),
)

OURS = ("DECDAClustering", "ViewGraphClustering")


def profile_report(investigations):
    """Tables of steps and passes, a pair for each record, as lines."""
    profiles = [study for study in investigations if study.get("study") == "profile"]
    lines = []
    for study in profiles:
        described = {
            "peaks": ", ".join(
                f"{best_product(study, precision) / 1e9:,.0f}·10⁹/s in {precision}"
                for precision in study["peaks"]
            ),
            "time": study["time"],
            "threads": study["environment"]["n_threads"],
            "processor": study["environment"]["processor"],
        }
        stages = list(study["steps"][0]["stages"])
        titles = (*PROFILE_COLUMNS, *(stage.capitalize() for stage in stages))
        passes = {**study["passes"]} | {
            f"import after {name}": seconds
            for name, seconds in study["import_seconds"].items()
        }
        lines += [
            *([""] if lines else []),
            PROFILE_HEADER.format(**described),
            *table(titles, [step_row(study, step) for step in study["steps"]]),
            "",
            PASSES_HEADER.format(**described),
            *table(
                ("What", "Seconds"),
                [[name, f"{seconds:.2f}"] for name, seconds in passes.items()],
            ),
        ]
    return lines


def best_product(study, precision):
    """Operations a second of the fastest matrix product."""
    return max(study["peaks"][precision].values())


def step_row(study, step):
    """Cells of one kind of step."""
    speed = step["operations"] / step["seconds"]
    return [
        f"{step['kind']}, {step['network']}",
        step["data"],
        step["precision"],
        str(step["batch_size"]),
        f"{1e3 * step['seconds']:.1f}",
        f"{step['operations'] / 1e9:.2f}",
        f"{100 * speed / best_product(study, step['precision']):.0f} %",
        *(f"{1e3 * seconds:.1f}" for seconds in step["stages"].values()),
    ]


def speed_report(runs):
    """Tables of peers and ours, and where ours is not the best, as lines."""
    groups = defaultdict(list)
    for run in runs:
        groups[group_key(run)].append(run)
    if not groups:
        return []
    rows = [speed_row(group, runs) for _, group in sorted(groups.items())]
    defeats = list(find_defeats(groups))
    return [
        SPEED_HEADER,
        *table(SPEED_COLUMNS, rows),
        *(["", "Where others do better:", "", *defeats] if defeats else []),
    ]


def group_key(run):
    """What runs that differ in nothing but their seed have in common."""
    n_threads = run["environment"]["n_threads"]
    epochs = tuple(run["epochs"] or ())
    return run["dataset"], run["n_samples"], n_threads, run["method"], epochs


def speed_row(group, runs):
    """Cells of the runs that differ in nothing but their seed."""
    first, done = group[0], [run for run in group if "scores" in run]
    epochs = " + ".join(map(str, first["epochs"] or ()))
    acc, nmi, ari = (
        [run["scores"][name] for run in done] for name in ("acc", "nmi", "ari")
    )
    seconds, cpu = mean_cost(group, "fit_seconds"), mean_cost(group, "cpu_seconds")
    return [
        f"{first['dataset']} ({first['n_samples']:,})"
        + (epochs and f", {epochs} epochs"),
        first["method"],
        str(first["environment"]["n_threads"]),
        ", ".join(str(run["seed"]) for run in group),
        mean_and_deviation(acc),
        f"{min(acc):.3f}" if done else "",
        mean_and_deviation(nmi),
        mean_and_deviation(ari),
        f"{seconds:,.1f} ({cpu:,.1f})",
        f"{np.mean([run['warm_up_seconds'] for run in group]):.0f}",
        f"{max(run['cost']['peak_memory_mib'] for run in group):,.0f}",
        times_faster(done, runs),
    ]


def mean_cost(runs, name):
    """Mean over the runs."""
    return float(np.mean([run["cost"][name] for run in runs]))


def times_faster(ours, runs):
    """Ratios of a peer's cost and ours for the same work, by clock and processor."""
    peers = {
        pair_key(run): run["cost"]
        for run in runs
        if run["same_work_as"] == run["method"] and "scores" in run
    }
    pairs = [
        (peers[key], run["cost"])
        for run in ours
        if run["method"] != run["same_work_as"] and (key := pair_key(run)) in peers
    ]
    if not pairs:
        return ""
    clock, processor = (
        np.mean([theirs[name] / own[name] for theirs, own in pairs])
        for name in ("fit_seconds", "cpu_seconds")
    )
    return f"{clock:.1f} ({processor:.1f})"


def pair_key(run):
    """What two runs must have in common for a ratio of their seconds."""
    shared = ("same_work_as", "dataset", "n_samples", "seed", "epochs", "invocation")
    n_threads = run["environment"]["n_threads"], run["environment"]["processor"]
    return *(str(run[name]) for name in shared), *n_threads


def find_defeats(groups):
    """Lines about peers that are faster or more accurate than our defaults."""
    settings = defaultdict(dict)
    for key, group in sorted(groups.items()):
        done = [run for run in group if "scores" in run]
        if done:
            acc = float(np.mean([run["scores"]["acc"] for run in done]))
            settings[key[:3]][key[3]] = acc, mean_cost(done, "fit_seconds")
    for (dataset, n_samples, n_threads), costs in settings.items():
        peers = {
            method: cost
            for method, cost in costs.items()
            if method.startswith(("kmeans", "umap", "clustpy"))
        }
        for ours in OURS:
            if ours in costs:
                where = f"{dataset} ({n_samples:,}), {n_threads} thread(s)"
                yield from compare(where, ours, costs[ours], peers)


def compare(where, ours, own, peers):
    """A line, if any peer is faster or more accurate."""
    acc, seconds = own
    better = [f"{m} ({a:.3f})" for m, (a, _) in peers.items() if a > acc]
    faster = [f"{m} ({s:,.0f} s)" for m, (_, s) in peers.items() if s < seconds]
    parts = [
        f"{', '.join(found)} {verb}"
        for found, verb in ((better, "more accurate"), (faster, "faster"))
        if found
    ]
    if parts:
        yield f"- {where}: {'; '.join(parts)} than {ours} ({acc:.3f}, {seconds:,.0f} s)"

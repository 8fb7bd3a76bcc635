"""Turn the recorded runs into the table of ``docs/benchmarks.md``."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import speed_tables
import studies
from markdown import mean_and_deviation, table
from paper_cells import cells_report
from papers import paper_accuracy

RESULTS = Path(__file__).parent / "results"

REPORT = Path(__file__).parents[1] / "docs" / "benchmarks.md"

HEADER = """\
# Benchmarks

Every number here is recorded under `benchmarks/results/`, one file a run, with its
parameters, seed, commit and machine; this page is made from them by
`python benchmarks/report.py`. Data sets are clustered whole, training and test part
together. Labels serve to compute the scores and nothing else. A score is that of the
final model. *Paper* presets are those of `from_paper`, *defaults* those of the
constructor.

`benchmarks/results/investigations/` answers questions that the runs raised: why
ConvDEC-DA on USPS fails in one run of four, for example. It is k-means that does,
in 20 starts; centres from 100 starts, or by `init="ensemble"`, end at .986 from the
same pretrained embedding.

ACC is the accuracy under the best matching of clusters and classes, NMI the normalised
mutual information (arithmetic mean), ARI the adjusted Rand index: mean ± standard
deviation over the seeds, and the worst seed's ACC. *Paper* is the ACC in the method's
own paper, *gap* ours minus that; a run in another precision is compared as well, and
defaults with the whole method, though those of DEC-DA, ITEC, CDC (images) and DAC-AE
start from the clusters of `ViewGraphClustering`, as no paper does. (The USPS of ITEC's
paper is another one, of 11,000 images.) With *start*, clusters are those of another
method. Seconds are those of `fit`, and of the start's, *steps* those of finetuning, or
of both autoencoders of ITEC, and memory is the peak of the whole process; a command
repeats the runs. Where a machine did other work at the same time, seconds are more than
the run needed.
"""

COLUMNS = (
    "Method",
    "Preset",
    "Data",
    "Seeds",
    "ACC",
    "worst",
    "NMI",
    "ARI",
    "Paper",
    "Gap",
    "Seconds",
    "Steps",
    "MiB",
    "Threads",
    "Commit",
    "Command",
)


def main():
    """Write the report."""
    runs = read_runs(RESULTS)
    groups = defaultdict(list)
    for run in runs:
        groups[group_key(run)].append(run)
    rows = (table_row(group) for _, group in sorted(groups.items()))
    lines = [HEADER, *table(COLUMNS, rows)]
    investigations = read_runs(RESULTS / "investigations")
    lines += ["", *cells_report(runs, investigations)]
    for make_tables in studies.OF_INVESTIGATIONS:
        lines += ["", *make_tables(investigations)]
    speed_runs = read_runs(RESULTS / "speed")
    for tables in (
        speed_tables.speed_report(speed_runs),
        speed_tables.profile_report(investigations),
    ):
        lines += ["", *tables] if tables else []
    vector_runs = read_runs(RESULTS / "uspec")
    lines += ["", *studies.vector_report(vector_runs)]
    lines += ["", "## Machines", "", *machines(runs + vector_runs + speed_runs)]
    REPORT.write_text("\n".join(lines) + "\n")
    print(f"{REPORT.name}: {len(groups)} rows of {len(runs)} runs")


def read_runs(folder):
    """Recorded runs in order of their files' names."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def group_key(run):
    """What runs that differ in nothing but their seed have in common."""
    variant = run["variant"] or ""
    return run["method"], run["dataset"], run["preset"], variant, *run["overrides"]


def table_row(runs):
    """Cells of the runs that differ in nothing but their seed."""
    first = runs[0]
    done = [run for run in runs if "scores" in run]
    acc, nmi, ari = (
        [run["scores"][name] for run in done] for name in ("acc", "nmi", "ari")
    )
    paper = paper_accuracy(first)
    gap = f"{np.mean(acc) - paper:+.3f}" if done and paper else ""
    steps = [run["training"]["n_iter"] for run in done]
    preset = first["variant"] or first["preset"]
    return [
        first["method"],
        ", ".join([preset, *first["overrides"]]),
        f"{first['dataset']} ({first['n_samples']:,})",
        seeds(runs, done),
        mean_and_deviation(acc),
        f"{min(acc):.3f}" if done else "",
        mean_and_deviation(nmi),
        mean_and_deviation(ari),
        f"{paper:.3f}" if paper else "",
        gap,
        f"{np.mean([run['cost']['fit_seconds'] for run in runs]):,.0f}",
        f"{np.mean(steps):,.0f}" if done else "",
        f"{max(run['cost']['peak_memory_mib'] for run in runs):,.0f}",
        ", ".join(sorted({str(run["environment"]["n_threads"]) for run in runs})),
        ", ".join(sorted({run["commit"] for run in runs})),
        f"`{command(runs)}`",
    ]


def command(runs):
    """Command that repeats all the seeds."""
    repeated = runs[0]["command"].partition(" --seeds ")[0].replace(" --force", "")
    return " ".join([repeated, "--force --seeds", *(str(run["seed"]) for run in runs)])


def seeds(runs, done):
    """The seeds, and how many of them failed."""
    listed = ", ".join(str(run["seed"]) for run in runs)
    n_failed = len(runs) - len(done)
    return f"{listed} ({n_failed} failed)" if n_failed else listed


def machines(runs):
    """One line for each machine and set of versions."""
    described = {
        f"- {', '.join(f'{name} {value}' for name, value in environment.items())}"
        for run in runs
        if (environment := dict(run["environment"])).pop("n_threads")
    }
    return sorted(described)


if __name__ == "__main__":
    main()

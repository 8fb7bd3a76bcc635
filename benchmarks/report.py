"""Turn the recorded runs into the table of ``docs/benchmarks.md``."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
REPORT = Path(__file__).parents[1] / "docs" / "benchmarks.md"

# Accuracy in the papers' own tables: DEC-DA, Table 2 (its mean of 5 trials).
IMAGES = ("mnist", "mnist-test", "usps", "fashion-mnist")
DECDA = {
    "FcDEC": (0.916, 0.795, 0.763, 0.572),
    "FcDEC-DA": (0.985, 0.979, 0.980, 0.577),
    "ConvDEC": (0.900, 0.858, 0.786, 0.566),
    "ConvDEC-DA": (0.985, 0.983, 0.987, 0.586),
    "FcIDEC": (0.912, 0.786, 0.771, 0.594),
    "FcIDEC-DA": (0.986, 0.981, 0.984, 0.580),
    "ConvIDEC": (0.901, 0.860, 0.792, 0.570),
    "ConvIDEC-DA": (0.983, 0.979, 0.984, 0.584),
    "FcDCN": (0.901, 0.727, 0.699, 0.557),
    "FcDCN-DA": (0.986, 0.961, 0.969, 0.580),
}
# ITEC, Tables 6 and 7; its USPS is another one, of 11,000 images.
ITEC = {
    "ITEC": (0.9184, 0.9142, 0.7936, 0.6104),
    "topology": (0.8660, 0.8041, 0.7516, 0.5528),
    "augmentation": (0.8839, 0.8140, 0.7774, 0.5597),
    "baseline": (0.8486, 0.7950, 0.6414, 0.4844),
    "addition": (0.8782, 0.8815, 0.7293, 0.6042),
}
ITEC |= {f"{name}-steps": row for name, row in ITEC.items()}
# CDC, Table 3 (its mean of 10 trials).
CDC = {
    "AE+Lr": (0.564,),
    "AE+LAE": (0.601,),
    "AE*+Lc": (0.611,),
    "AE*+Lc+La": (0.631,),
    "CDC": (0.649,),
}


def by_name(variants, datasets):
    """A table of accuracies, to be looked up by variant and data set."""
    return {
        variant: dict(zip(datasets, accuracies, strict=True))
        for variant, accuracies in variants.items()
    }


# The variant that is the whole method, and the table.
PAPERS = {
    "DECDAClustering": ("ConvDEC-DA", by_name(DECDA, IMAGES)),
    "ITECClustering": ("ITEC", by_name(ITEC, IMAGES)),
    "CDCClustering": ("CDC", by_name(CDC, ("fashion-mnist",))),
    "ViewGraphClustering": ("ours", {"ours": {}}),  # no paper's method
}

HEADER = """\
# Benchmarks

Every number here is recorded under `benchmarks/results/`, one file a run, with its
parameters, seed, commit and machine; this page is made from them by
`python benchmarks/report.py`. Data sets are clustered whole, training and test part
together. Labels serve to compute the scores and nothing else. A score is that of the
final model. *Paper* presets are those of `from_paper`, *defaults* those of the
constructor.

`benchmarks/results/investigations/` answers questions that the runs raised: why
ConvDEC-DA on USPS fails with one seed of three, for example. It is k-means that does,
in 20 starts; centres from 100 starts, or by `init="ensemble"`, end at .986 from the
same pretrained embedding.

ACC is the accuracy under the best matching of clusters and classes, NMI the normalised
mutual information (arithmetic mean), ARI the adjusted Rand index: mean ± standard
deviation over the seeds, and the worst seed's ACC. *Paper* is the ACC in the method's
own paper, *gap* ours minus that; a run in another precision is compared as well, and
defaults with the whole method. (The USPS of ITEC's paper is another one, of 11,000
images.) Seconds are those of `fit`, *steps* those of finetuning, or of both
autoencoders of ITEC, and memory is the peak of the whole process; a command repeats
the runs. Where a machine did other work at the same time, seconds are more than the
run needed.
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


INITIALIZATION_HEADER = """\
## First centres of DEC-DA

`DECDAClustering` from first centres of k-means, the best of 20 and of 100 starts, and
of an ensemble, each from the same pretrained autoencoder: ACC before → after
finetuning.
`benchmarks/initialization.py` makes these runs, in bfloat16, with our default budgets
on USPS, and half of them on MNIST's test set. The ensemble is the default because it is
better on average; it is not with every seed.
"""

SWEEP_HEADER = """\
## What ITEC's paper leaves open

Mean ACC of `ITECClustering` with p representatives, the g nearest of which count, and
with the two codes as they are or scaled; *none* is the autoencoder alone. In brackets
the number of seeds. `benchmarks/itec_sweep.py` makes these runs, here in bfloat16 with
our default budgets and network.
"""

VECTOR_HEADER = """\
## Vectors: U-SPEC and the ensemble

`benchmarks/uspec.py` makes these runs, one seed each, with `n_jobs=2` on two cores.
First, many rows: seconds of `fit`, the memory that it adds to that of the data and the
libraries, and the data's own. An ensemble of two jobs works in processes of its own,
whose memory is not in these numbers.
"""

LARGE_COLUMNS = ("Method", "Data", "Rows", "Seconds", "MiB added", "MiB data", "ACC")

COMPARISON_HEADER = """\
Second, beside scikit-learn's clusterers: NMI, seconds of `fit`, and the peak of the
whole process in MiB, some 350 of which are the libraries. Pixels are raw, in [0, 1];
blobs have 10 dimensions. The machine had other work now and then.
"""

VECTOR_METHODS = {
    "uspec": "U-SPEC",
    "uspec-approx": 'U-SPEC, `knn="approx"`',
    "ensemble": "Ensemble",
    "spectral": "SpectralClustering",
    "kmeans": "KMeans",
    "minibatch-kmeans": "MiniBatchKMeans",
}
VECTOR_DATA = {
    "blobs": "10 blobs",
    "moons": "2 moons",
    "rings": "2 rings",
    "usps": "USPS pixels",
    "mnist": "MNIST pixels",
}


def main():
    """Write the report."""
    runs = read_runs(RESULTS)
    groups = defaultdict(list)
    for run in runs:
        groups[group_key(run)].append(run)
    lines = [HEADER, markdown_row(COLUMNS), markdown_row(["---"] * len(COLUMNS))]
    lines += [markdown_row(table_row(group)) for _, group in sorted(groups.items())]
    lines += ["", *initialization_report(read_runs(RESULTS / "investigations"))]
    lines += ["", *sweep_report(read_runs(RESULTS / "investigations"))]
    vector_runs = read_runs(RESULTS / "uspec")
    lines += ["", *vector_report(vector_runs)]
    lines += ["", "## Machines", "", *machines(runs + vector_runs)]
    REPORT.write_text("\n".join(lines) + "\n")
    print(f"{REPORT.name}: {len(groups)} rows of {len(runs)} runs")


def read_runs(folder):
    """Recorded runs in order of their files' names."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def group_key(run):
    """What runs that differ in nothing but their seed have in common."""
    variant = run["variant"] or ""
    return run["method"], run["dataset"], run["preset"], variant, *run["overrides"]


def markdown_row(cells):
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


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
    repeated = runs[0]["command"].partition(" --seeds ")[0]
    return " ".join([repeated, "--force --seeds", *(str(run["seed"]) for run in runs)])


def seeds(runs, done):
    """The seeds, and how many of them failed."""
    listed = ", ".join(str(run["seed"]) for run in runs)
    n_failed = len(runs) - len(done)
    return f"{listed} ({n_failed} failed)" if n_failed else listed


def mean_and_deviation(scores):
    """Mean, and the standard deviation of more than one score."""
    if not scores:
        return "failed"
    if len(scores) == 1:
        return f"{scores[0]:.3f}"
    return f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}"


def paper_accuracy(run):
    """Accuracy that the method's paper gives for its variant, if any.

    Defaults are compared with the whole method; so is a run in another precision.
    """
    if not all(override.startswith("precision=") for override in run["overrides"]):
        return None
    whole, accuracies = PAPERS[run["method"]]
    return accuracies.get(run["variant"] or whole, {}).get(run["dataset"])


def initialization_report(investigations):
    """Table of DEC-DA from different first centres, as lines."""
    studies = [
        study for study in investigations if study.get("study") == "initialization"
    ]
    starts = list(studies[0]["starts"])
    columns = ("Data", "Seed", *starts)
    rows = [
        [
            study["dataset"],
            str(study["seed"]),
            *(
                f"{scores['start']['acc']:.3f} → {scores['final']['acc']:.3f}"
                for scores in (study["starts"][start] for start in starts)
            ),
        ]
        for study in studies
    ]
    return [
        INITIALIZATION_HEADER,
        markdown_row(columns),
        markdown_row(["---"] * len(columns)),
        *map(markdown_row, rows),
    ]


def sweep_report(investigations):
    """Table of what ITEC's paper leaves open, as lines."""
    accuracies = defaultdict(lambda: defaultdict(list))
    datasets = set()
    for sweep in investigations:
        if "runs" not in sweep:
            continue
        datasets.add(sweep["dataset"])
        for run in sweep["runs"]:
            if run["final"] == "kmeans":
                setting = run.get("n_representatives", 0), run.get("n_nearest", 0)
                column = sweep["dataset"], run["scale_blocks"]
                accuracies[setting][column].append(run["scores"]["acc"])
    scalings = {False: "as is", True: "scaled"}
    columns = [(dataset, scaled) for dataset in sorted(datasets) for scaled in scalings]
    titles = ["p", "g", *(f"{name}, {scalings[scaled]}" for name, scaled in columns)]
    return [
        SWEEP_HEADER,
        markdown_row(titles),
        markdown_row(["---"] * len(titles)),
        *(
            markdown_row(
                [
                    *(str(number) if number else "none" for number in setting),
                    *(mean_of_seeds(row[column]) for column in columns),
                ]
            )
            for setting, row in sorted(accuracies.items())
        ),
    ]


def mean_of_seeds(accuracies):
    """Mean, and how many seeds it is of."""
    if not accuracies:
        return ""
    return f"{np.mean(accuracies):.3f} ({len(accuracies)})"


def vector_report(runs):
    """Tables of the clusterers of vectors, as lines."""
    large = [run for run in runs if run["suite"] != "compare"]
    large.sort(key=lambda run: (run["method"], run["data"], run["n_samples"]))
    compared = defaultdict(dict)
    for run in runs:
        if run["suite"] == "compare":
            key = list(VECTOR_DATA).index(run["data"]), run["n_samples"]
            compared[key][run["method"]] = run
    columns = ("Data", "Rows", *VECTOR_METHODS.values())
    return [
        VECTOR_HEADER,
        markdown_row(LARGE_COLUMNS),
        markdown_row(["---"] * len(LARGE_COLUMNS)),
        *(markdown_row(large_row(run)) for run in large),
        "",
        COMPARISON_HEADER,
        markdown_row(columns),
        markdown_row(["---"] * len(columns)),
        *(markdown_row(comparison_row(row)) for _, row in sorted(compared.items())),
    ]


def large_row(run):
    """Cells of one run on many rows."""
    cost = run["cost"]
    added = cost["peak_memory_mib"] - cost["memory_before_fit_mib"]
    return [
        VECTOR_METHODS[run["method"]],
        run["data"],
        f"{run['n_samples']:,} x {run['n_features']}",
        f"{cost['fit_seconds']:.1f}",
        f"{added:.0f}",
        f"{cost['data_mib']:.0f}",
        f"{run['scores']['acc']:.4f}",
    ]


def comparison_row(runs):
    """Cells of all methods on the same rows."""
    first = next(iter(runs.values()))
    cells = [
        f"{run['scores']['nmi']:.3f}; {run['cost']['fit_seconds']:.1f} s; "
        f"{run['cost']['peak_memory_mib']:.0f}"
        if (run := runs.get(method))
        else ""
        for method in VECTOR_METHODS
    ]
    return [VECTOR_DATA[first["data"]], f"{first['n_samples']:,}", *cells]


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

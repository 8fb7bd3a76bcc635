"""Turn the recorded runs into the table of ``docs/benchmarks.md``."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import speed_tables
import studies
from markdown import markdown_row, mean_and_deviation

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

# DAC-AE, Table 2, ours and DAC; augmentation is not theirs.
DACAE_DATA = ("fashion-mnist", "cifar10", "cifar100-20", "stl10")

DACAE = {
    "DAC-AE": (0.7521, 0.5225, 0.3047, 0.5212),
    "DAC": (0.7052, 0.4778, 0.2552, 0.4818),
}

DACAE |= {f"{name}-DA": row for name, row in DACAE.items()}

# DeepCluE, Table IV.
DEEPCLUE = {"CC": (0.656, 0.790), "DeepCluE": (0.689, 0.764)}


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
    "DACAEClustering": ("DAC-AE", by_name(DACAE, DACAE_DATA)),
    "DeepCluEClustering": (
        "DeepCluE",
        by_name(DEEPCLUE, ("fashion-mnist", "cifar10")),
    ),
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


def main():
    """Write the report."""
    runs = read_runs(RESULTS)
    groups = defaultdict(list)
    for run in runs:
        groups[group_key(run)].append(run)
    lines = [HEADER, markdown_row(COLUMNS), markdown_row(["---"] * len(COLUMNS))]
    lines += [markdown_row(table_row(group)) for _, group in sorted(groups.items())]
    investigations = read_runs(RESULTS / "investigations")
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


def paper_accuracy(run):
    """Accuracy that the method's paper gives for its variant, if any.

    Defaults are compared with the whole method; so is a run in another precision.
    """
    if not all(override.startswith("precision=") for override in run["overrides"]):
        return None
    whole, accuracies = PAPERS.get(run["method"], (None, {}))  # one is no paper's
    return accuracies.get(run["variant"] or whole, {}).get(run["dataset"])


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

"""A table of which cells of the papers' tables we have, and how far they agree."""

from collections import defaultdict

import numpy as np
from markdown import table
from papers import NO_TEACHING, PAPERS, paper_accuracy

HEADER = """\
## Cells of the papers' tables

Mean ACC of ours / that of the paper, and in brackets the number of runs, for every
cell whose data we have, of `from_paper` and of the constructor's *defaults*, beside the
paper's whole method. (Defaults of DEC-DA, ITEC, CDC and DAC-AE start from the clusters
of `ViewGraphClustering`, as no paper does.) A cell without a number of ours was not
run, most often for its cost: `from_paper` takes 13 minutes to more than an hour of one
core for 10,000 digits, an hour and a half (dense, in bfloat16 with AMX) to many hours
for 70,000, and with `DeepCluEClustering` days of a GPU. Runs in bfloat16 count. Of
CIFAR-10 we have 20,000 of the papers' 60,000 images; of Reuters, STL-10, CIFAR-100,
ImageNet, and CIFAR-10 as features of CDC's paper, nothing, so that there is no column.
The USPS of ITEC's paper is another one, of 11,000 images.
"""

DEFAULTS, UNTAUGHT = "defaults", f"defaults, {NO_TEACHING}"

DATASETS = ("mnist", "mnist-test", "usps", "fashion-mnist", "cifar10")


def cells_report(runs, investigations):
    """The table, as lines."""
    reached = reached_accuracies(runs, investigations)
    rows, shown = [], []
    for method, (whole, accuracies) in PAPERS.items():
        ours_too = dict.fromkeys([DEFAULTS, UNTAUGHT], accuracies[whole])
        for variant, row in {**ours_too, **accuracies}.items():
            ours = [reached[method, variant, dataset] for dataset in DATASETS]
            if variant != DEFAULTS and row in shown and not any(ours):
                continue  # a variation of ours upon the paper's
            shown.append(row)
            papers = [row.get(dataset) for dataset in DATASETS]
            rows.append([method, variant, *map(cell, ours, papers)])
    return [HEADER, *table(["Method", "Variant", *DATASETS], rows)]


def reached_accuracies(runs, investigations):
    """Lists of accuracies by method, variant and data set."""
    reached = defaultdict(list)
    for run in runs:
        if "scores" in run and paper_accuracy(run):
            variant = UNTAUGHT if NO_TEACHING in run["overrides"] else DEFAULTS
            if run["preset"] != "defaults":
                variant = run["variant"] or PAPERS[run["method"]][0]
            reached[run["method"], variant, run["dataset"]].append(run["scores"]["acc"])
    for study in investigations:
        if study.get("study") == "decda-variants":
            for setting, fit in study["fits"].items():
                variant = setting.split(" ")[0]  # the precision may follow
                key = "DECDAClustering", variant, study["dataset"]
                reached[key].append(fit["scores"]["acc"])
    return reached


def cell(accuracies, paper):
    """Ours / the paper's."""
    if not paper:
        return ""
    ours = f"{np.mean(accuracies):.3f} ({len(accuracies)})" if accuracies else "-"
    return f"{ours} / {paper:.3f}"

"""Tables of the studies beside the runs of whole methods, as lines of Markdown."""

import json
from collections import defaultdict

import numpy as np
from markdown import mean_and_deviation, mean_of_seeds, table
from papers import PAPERS

SCORES = ("acc", "nmi")
SELECTIONS = ("k-means", "distance", "information", "auto")

INITIALIZATION_HEADER = """\
## First centres of DEC-DA

`DECDAClustering` from first centres of k-means, the best of 20 and of 100 starts, and
of an ensemble, each from the same pretrained autoencoder: ACC before → after
finetuning.
`benchmarks/initialization.py` makes these runs, in bfloat16, with our default budgets
on USPS, and half of them on MNIST's test set. The ensemble, here one that is selected
by distance, is better on average, but not with every seed; the default,
``init="viewgraph"``, is not compared here.
"""

SWEEP_HEADER = """\
## What ITEC's paper leaves open

Mean ACC of `ITECClustering` with p representatives, the g nearest of which count, and
with the two codes as they are or scaled; *none* is the autoencoder alone. In brackets
the number of seeds. `benchmarks/itec_sweep.py` makes these runs, with `init=None`, here
in bfloat16 with our default network and budgets.
"""

ABLATION_HEADER = """\
What topology and augmentation bring (Table 6 of the paper), and what an ensemble does
in place of the final k-means: mean ACC with our defaults but for `init=None`, p = 150
and g = 3, and codes as they are.
"""

ABLATION = {
    "baseline": (False, False),
    "topology": (True, False),
    "augmentation": (False, True),
    "ITEC": (True, True),
}

DACAE_SWEEP_HEADER = """\
## What DAC-AE's paper leaves open

`DACAEClustering` with one thing changed about the *base*: augmentation as by DAC's
code, 10 epochs of pretraining, thresholds in steps of 0.03 (13 passes), Adam with
0.001, weights 0.5 and 0.3, a random head; half the passes of our defaults, and a
quarter of their pretraining. ACC, and in brackets the seconds of processor time of the
fit. *Running* and *batches* are the ACC of the same networks with the statistics that
training left to batch normalisation, and with those of shuffled batches of 1,000, as
DAC's code predicts. `benchmarks/dacae_sweep.py` makes these runs, with seed 0.
"""

DECDA_SWEEP_HEADER = """\
## What each default of DEC-DA does

`DECDAClustering` with one default changed, from the same first clusters, those of
`ViewGraphClustering` (*first*): ACC of what the network was taught → ACC after
finetuning, and in brackets its steps and the seconds of processor time of the fit but
for the first clusters. Names that begin with an underscore are not parameters, but how
first clusters are taught. `benchmarks/decda_sweep.py` makes these runs.
"""

VARIANTS_HEADER = """\
## Variants of DEC-DA's paper

ACC of every variant that was run, as `from_paper` has it: the first clusters, of
k-means in the pretrained embedding, → after finetuning, and in brackets its steps and
the seconds of processor time, pretraining + finetuning. Variants that differ in their
objective alone share a pretraining. `benchmarks/decda_variants.py` makes these runs.
"""

LAYERS_HEADER = """\
## Layers of DeepCluE, alone and fused

ACC; NMI of what one trained network gives: its cluster head (Contrastive Clustering),
k-means on each layer, and the ensemble of all layers, by default; the ensembles before
it fuse the same base clusterings by distance, as in the paper, or without a start from
the head, with weights or without. Mean ± standard deviation over the seeds.
`benchmarks/deepclue_layers.py` makes these runs, with our defaults but for the number
of *steps*, of the first rows of a data set. The budget is far below the paper's: 1,000
epochs of a ResNet-34 at 224 pixels, which it says give .656 (cluster head) and .689
(ensemble) on all of Fashion-MNIST, and .790 and .764 on all of CIFAR-10.

Rows without *by distance* are older: their ensembles, the unweighted one as well, are
by distance, without a start from the head, and before the pass over clean samples
that settles batch normalisation.
"""

SELECTION_HEADER = """\
## How an ensemble selects its partition

ACC; NMI of `EnsembleClustering` from the same base clusterings, of at most 10,000 rows,
with the run of k-means on the embedding of least *distance*, as in the paper, and with
the one that tells most about the base clusterings (*information*), also from an
embedding of as many or twice as many dimensions as clusters (*auto*, as
`DeepCluEClustering` has it); mean ± standard deviation over the seeds.
`benchmarks/ensemble_selection.py` makes these runs.
"""

VIEWGRAPH_HEADER = """\
## What each part of views and graphs does

ACC; NMI of `ViewGraphClustering` and of less than it, a line a seed. *Both graphs* is
the first partition, and *no rounds* what the network makes of it; *whole* is all of it.
`benchmarks/viewgraph_ablation.py` makes these runs.
"""

SCALING_HEADER = """\
The graph and its partition for more and more rows: MNIST, four times over in random
views, as embedded by what was learned from its test set. Seconds of processor time, and
the peak of the whole process. `benchmarks/viewgraph_scaling.py` makes this run.
"""

VOTES_HEADER = """\
Clusters of all embedded rows of MNIST, and of 20,000 of them with votes of the ten
closest for the others, after the same views: mean ± standard deviation over three
seeds, of the search for neighbours and of the rows that are drawn. Seconds of one core.
`benchmarks/viewgraph_votes.py` makes this run.
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


KMEANS_HEADER = """\
## k-means on the data as they are

scikit-learn's `KMeans(n_init=4)` on pixels or columns, means over seeds, and seconds of
processor time. `benchmarks/kmeans.py` makes these runs.
"""


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
        *table(columns, rows),
    ]


def sweep_report(investigations):
    """Tables of what ITEC's paper leaves open, and of its ablations, as lines."""
    sweeps = [study for study in investigations if study.get("study") == "itec-sweep"]
    accuracies = defaultdict(lambda: defaultdict(list))
    for sweep, run in sweep_runs(sweeps):
        if run["final"] == "kmeans" and is_augmented(sweep):
            setting = run.get("n_representatives", 0), run.get("n_nearest", 0)
            column = sweep["dataset"], run["scale_blocks"]
            accuracies[setting][column].append(run["scores"]["acc"])
    scalings = {False: "as is", True: "scaled"}
    datasets = sorted({sweep["dataset"] for sweep in sweeps})
    columns = [(dataset, scaled) for dataset in datasets for scaled in scalings]
    titles = ["p", "g", *(f"{name}, {scalings[scaled]}" for name, scaled in columns)]
    return [
        SWEEP_HEADER,
        *table(
            titles,
            (
                [
                    *(str(number) if number else "none" for number in setting),
                    *(mean_of_seeds(row[column]) for column in columns),
                ]
                for setting, row in sorted(accuracies.items())
            ),
        ),
        "",
        *ablation_report(sweeps),
    ]


def sweep_runs(sweeps):
    """Each run, with the sweep that it is of."""
    return ((sweep, run) for sweep in sweeps for run in sweep["runs"])


def is_augmented(sweep):
    """Whether the autoencoder saw augmented samples."""
    return sweep["parameters"]["augment"] != "None"


def ablation_report(sweeps):
    """Table of ITEC without its parts, as lines."""
    accuracies = defaultdict(list)
    for sweep, run in sweep_runs(sweeps):
        settings = run.get("n_representatives", 150), run.get("n_nearest", 3)
        if settings == (150, 3) and not run["scale_blocks"]:
            parts = run["topology"], is_augmented(sweep)
            key = sweep["dataset"], parts, run["final"]
            accuracies[key].append(run["scores"]["acc"])
    datasets = sorted({dataset for dataset, *_ in accuracies})
    columns = [(name, final) for name in datasets for final in ("kmeans", "ensemble")]
    titles = ["", *(f"{name}, {final}" for name, final in columns)]
    return [
        ABLATION_HEADER,
        *table(
            titles,
            (
                [
                    variant,
                    *(
                        mean_of_seeds(accuracies[name, parts, final])
                        for name, final in columns
                    ),
                ]
                for variant, parts in ABLATION.items()
            ),
        ),
    ]


def dacae_sweep_report(investigations):
    """Table of what DAC-AE's paper leaves open, as lines."""
    sweeps = [study for study in investigations if study.get("study") == "dacae-sweep"]
    kinds = {"scores": "", "running_scores": ", running", "batch_scores": ", batches"}
    titles = [
        f"{sweep['dataset']}{title}" for sweep in sweeps for title in kinds.values()
    ]
    settings = list(dict.fromkeys(name for sweep in sweeps for name in sweep["fits"]))
    rows = []
    for setting in settings:
        row = [f"`{setting}`"]
        for sweep in sweeps:
            fit = sweep["fits"].get(setting)
            cells = [f"{fit[kind]['acc']:.3f}" if fit else "" for kind in kinds]
            cells[0] += f" ({fit['cpu_seconds']:.0f} s)" if fit else ""
            row += cells
        rows.append(row)
    columns = ["setting", *titles]
    return [
        DACAE_SWEEP_HEADER,
        *table(columns, rows),
    ]


def decda_sweep_report(investigations):
    """Table of DEC-DA with one default changed, as lines."""
    sweeps = [study for study in investigations if study.get("study") == "decda-sweep"]
    settings = list(dict.fromkeys(name for sweep in sweeps for name in sweep["fits"]))
    some = [next(iter(sweep["fits"].values())) for sweep in sweeps]
    firsts = [f"{fit['first_scores']['acc']:.4f}" for fit in some]
    columns = ["setting", *(f"{run['dataset']}, seed {run['seed']}" for run in sweeps)]
    rows = [
        [f"`{name}`", *(sweep_cell(sweep["fits"].get(name)) for sweep in sweeps)]
        for name in settings
    ]
    return [
        DECDA_SWEEP_HEADER,
        *table(columns, [["*first*", *firsts], *rows]),
    ]


def sweep_cell(fit):
    """What one fit of DEC-DA came to, empty where there is none."""
    if fit is None:
        return ""
    before, after = (fit[kind]["acc"] for kind in ("taught_scores", "scores"))
    cost = f"({fit['n_iter']} steps, {fit['cpu_seconds']:.0f} s)"
    return f"{before:.4f} → {after:.4f} {cost}"


def variants_report(investigations):
    """Table of the variants of DEC-DA's paper, as lines."""
    sweeps = [
        study for study in investigations if study.get("study") == "decda-variants"
    ]
    _, accuracies = PAPERS["DECDAClustering"]
    rows = [
        [
            f"{sweep['dataset']} ({sweep['n_samples']:,})",
            setting,
            str(sweep["seed"]),
            variant_cell(fit),
            f"{(paper := accuracies[setting.split(' ')[0]][sweep['dataset']]):.3f}",
            f"{fit['scores']['acc'] - paper:+.3f}",
        ]
        for sweep in sweeps
        for setting, fit in sweep["fits"].items()
    ]
    columns = ["Data", "Variant", "Seed", "ACC", "Paper", "Gap"]
    return [
        VARIANTS_HEADER,
        *table(columns, rows),
    ]


def variant_cell(fit):
    """What one variant of DEC-DA's paper came to."""
    before, after = (fit[kind]["acc"] for kind in ("pretrained_scores", "scores"))
    seconds = [f"{part['cpu_seconds']:,.0f}" for part in (fit["pretraining"], fit)]
    cost = f"({fit['n_iter']:,} steps, {' + '.join(seconds)} s)"
    return f"{before:.3f} → {after:.3f} {cost}"


def layers_report(investigations):
    """Tables of what the layers of networks give, as lines."""
    studies = [
        study for study in investigations if study.get("study") == "deepclue-layers"
    ]
    deepclue = [study for study in studies if "cluster head" in study["scores"]]
    others = [study for study in studies if study not in deepclue]
    lines = []
    if deepclue:
        lines += [LAYERS_HEADER, *layers_table(deepclue)]
    for method in sorted({study["method"] for study in others}):
        table = layers_table([study for study in others if study["method"] == method])
        lines += ["", f"The same of `{method}`, whose own are the first *labels*:", ""]
        lines += table
    return lines


def layers_table(studies):
    """Accuracies of clusters from each layer, a row for each data set and budget."""
    groups = defaultdict(list)
    for study in studies:
        budget = json.dumps(study["settings"], sort_keys=True)
        is_older = "ensemble, by distance" not in study["scores"]
        key = study["dataset"], study["n_samples"], budget, is_older
        groups[key].append(study)
    names = [name for study in studies for name in study["scores"]]
    order = [name for name in dict.fromkeys(names) if name != "ensemble"]
    order.append("ensemble")  # the one that is the method comes last
    titles = ("Data", "Steps", "Seeds", *(short_name(name) for name in order))
    rows = [
        [
            f"{dataset} ({n_samples:,})",
            f"{np.mean([study['n_steps'] for study in group]):,.0f}",
            ", ".join(str(study["seed"]) for study in group),
            *(
                scores_cell([study["scores"] for study in group], name)
                for name in order
            ),
        ]
        for (dataset, n_samples, *_), group in sorted(groups.items())
    ]
    return table(titles, rows)


def scores_cell(seeds, name):
    """ACC and NMI of this name, mean and deviation over seeds; empty without any."""
    scores = [scores[name] for scores in seeds if name in scores]
    if not scores:
        return ""
    return "; ".join(mean_and_deviation([one[by] for one in scores]) for by in SCORES)


def short_name(layer):
    """Name of a layer without the part of the network that it is in."""
    return layer if layer.startswith("encoder") else layer.split(".")[-1]


def selection_report(investigations):
    """Table of partitions that ensembles select, as lines."""
    groups = defaultdict(list)
    for study in investigations:
        if study.get("study") == "ensemble-selection":
            groups[study["dataset"]].append(study)
    rows = []
    for dataset, studies in sorted(groups.items()):
        n_rows = {fit["n_rows"] for study in studies for fit in study["fits"].values()}
        scores = [
            {way: fit["scores"] for way, fit in study["fits"].items()}
            for study in studies
        ]
        rows.append(
            [
                f"{dataset} ({max(n_rows):,})",
                ", ".join(str(study["seed"]) for study in studies),
                *(scores_cell(scores, way) for way in SELECTIONS),
            ]
        )
    return [SELECTION_HEADER, *table(("Data", "Seeds", *SELECTIONS), rows)]


def viewgraph_report(investigations):
    """Tables of the parts of views and graphs, and of large graphs, as lines."""
    ablations = [
        study for study in investigations if study.get("study") == "viewgraph_ablation"
    ]
    names = [name for name in ablations[0]["variants"] if name != "views"]
    titles = ("Data", "Seed", *names)
    rows = [
        [
            f"{study['dataset']} ({study['n_samples']:,})",
            str(study["seed"]),
            *(
                f"{scores['acc']:.3f}; {scores['nmi']:.3f}"
                for scores in map(study["variants"].get, names)
            ),
        ]
        for study in ablations
    ]
    return [
        VIEWGRAPH_HEADER,
        *table(titles, rows),
        "",
        *scaling_table(investigations),
        "",
        *votes_table(investigations),
    ]


def scaling_table(investigations):
    """Seconds and memory of large graphs, as lines."""
    (study,) = [
        study for study in investigations if study.get("study") == "viewgraph_scaling"
    ]
    titles = ("Rows", "Neighbours", "Graph", "Partition", "MiB")
    steps = ("search_seconds", "graph_seconds", "partition_seconds")
    return [
        SCALING_HEADER,
        *table(
            titles,
            (
                [
                    f"{size['n_samples']:,}",
                    *(f"{size[step]:.1f}" for step in steps),
                    f"{size['peak_memory_mib']:,.0f}",
                ]
                for size in study["sizes"]
            ),
        ),
    ]


def votes_table(investigations):
    """Clusters of all rows and of some of them, as lines."""
    (study,) = [
        study for study in investigations if study.get("study") == "viewgraph_votes"
    ]
    titles = ("Partition of", "ACC", "NMI", "Seconds")
    return [
        VOTES_HEADER,
        *table(
            titles,
            (
                [
                    way,
                    *(
                        mean_and_deviation([run[measure] for run in study[way]])
                        for measure in ("acc", "nmi")
                    ),
                    f"{np.mean([run['cpu_seconds'] for run in study[way]]):.1f}",
                ]
                for way in ("all rows", "some, and votes")
            ),
        ),
    ]


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
        *table(LARGE_COLUMNS, map(large_row, large)),
        "",
        COMPARISON_HEADER,
        *table(columns, (comparison_row(row) for _, row in sorted(compared.items()))),
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


def kmeans_report(investigations):
    """Table of what k-means finds in the data as they are, as lines."""
    rows = []
    for study in investigations:
        if study.get("study") == "kmeans":
            starts = study["starts"]
            scores = [
                [run["scores"][name] for run in starts]
                for name in ("acc", "nmi", "ari")
            ]
            rows.append(
                [
                    f"{study['dataset']} ({study['n_samples']:,})",
                    study["scale"] or "as is",
                    ", ".join(str(run["seed"]) for run in starts),
                    *map(mean_and_deviation, scores),
                    f"{np.mean([run['cpu_seconds'] for run in starts]):.1f}",
                ]
            )
    columns = ["Data", "Scaling", "Seeds", "ACC", "NMI", "ARI", "Seconds"]
    return [KMEANS_HEADER, *table(columns, rows)]


OF_INVESTIGATIONS = (
    initialization_report,
    sweep_report,
    dacae_sweep_report,
    decda_sweep_report,
    variants_report,
    layers_report,
    selection_report,
    viewgraph_report,
    kmeans_report,
)

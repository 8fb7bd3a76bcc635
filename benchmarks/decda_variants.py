"""Fit every variant of DEC-DA's paper, and record it as JSON, one file a seed.

    python benchmarks/decda_variants.py usps
    python benchmarks/decda_variants.py mnist-test --only FcDCN-DA FcDCN
    python benchmarks/decda_variants.py mnist --only "FcDEC bfloat16" "FcIDEC bfloat16"

Settings are those of ``from_paper``. Variants that differ in their objective alone
share their pretraining and first centres, which take most of the time; a seed differs
from that of ``reproduce.py``, which starts anew for each. A variant's precision is
float32 unless it is named as well. A fit that is recorded already is not repeated,
unless ``--force``. Labels touch nothing but the scores.
"""

from functools import partial

from reproduce import score
from sweeps import fit_and_time, sweep

from skdeepcluster import DECDAClustering

VARIANTS = (
    *("FcDEC-DA", "FcIDEC-DA", "FcDCN-DA"),
    *("FcDEC", "FcIDEC", "FcDCN"),
    *("ConvDEC-DA", "ConvIDEC-DA"),
    *("ConvDEC", "ConvIDEC"),
)


def main():
    """Fit the variants."""
    question = "What does each variant of DEC-DA's paper reach?"
    measure_all = partial(measure, pretrained={})
    sweep("decda-variants", question, __doc__, VARIANTS, measure_all)


def measure(setting, seed, data, pretrained):
    """Finetune once, after a pretraining that is made once for several variants."""
    variant, _, precision = setting.partition(" ")
    settings = {
        "n_clusters": len(data.target_names),
        "precision": precision or "float32",
        "random_state": seed,
    }
    key = variant.startswith("Fc"), variant.endswith("-DA"), precision, seed
    if key not in pretrained:
        start = DECDAClustering.from_paper(variant, data.name, max_iter=0, **settings)
        pretrained[key] = start, fit_and_time(start, data.images)
    start, costs = pretrained[key]
    model = DECDAClustering.from_paper(
        variant,
        data.name,
        network=lambda _: start.network_,
        pretrain_epochs=0,
        init=start.cluster_centers_,
        **settings,
    )
    return {
        "pretraining": costs,
        "pretrained_scores": score(data.target, start.labels_),
        **fit_and_time(model, data.images),
        "scores": score(data.target, model.labels_),
    }


if __name__ == "__main__":
    main()

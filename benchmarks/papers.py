"""Accuracies in the tables of the papers."""

# DEC-DA, Table 2 (its mean of 5 trials).
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


# What makes defaults of ITEC the paper's method.
NO_TEACHING = "init=None"

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


def paper_accuracy(run):
    """Accuracy that the method's paper gives for its variant, if any.

    Defaults are compared with the whole method, and so is a run that differs from them
    in its precision or in that no clusters are taught, which is nearer to the paper.
    """
    if not all(is_comparable(override) for override in run["overrides"]):
        return None
    whole, accuracies = PAPERS.get(run["method"], (None, {}))  # one is no paper's
    return accuracies.get(run["variant"] or whole, {}).get(run["dataset"])


def is_comparable(override):
    """Whether a run with this setting is still one of the paper's method."""
    return override == NO_TEACHING or override.startswith("precision=")

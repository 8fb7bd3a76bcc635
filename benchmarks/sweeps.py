"""What sweeps over the settings of a method share: command line, loop and records."""

import argparse
import ast
import datetime
import json
import shlex
import time
from pathlib import Path

from reproduce import DATASETS, current_commit, environment

RESULTS = Path(__file__).parent / "results" / "investigations"


def sweep(study, question, description, settings, measure, **about):
    """Fit every setting that was asked for and is not recorded yet.

    Parameters
    ----------
    study, question : str
        What the sweep is called, and what it asks.

    description : str
        For ``--help``.

    settings : sequence of str
        Those of the whole sweep, as :func:`read_setting` takes them.

    measure : callable
        Maps a setting, a seed and a data set, which has its ``name``, to the record of
        one fit.

    **about
        More of the record.
    """
    options = parse_arguments(description, settings)
    script = f"python benchmarks/{study.replace('-', '_')}.py"
    data = DATASETS[options.dataset]()
    data.name = options.dataset
    for seed in options.seeds:
        path = options.results / f"{study}-{options.dataset}-seed{seed}.json"
        command = f"{script} {options.dataset} --seeds {seed} --force"
        record = {
            "study": study,
            "question": question,
            "dataset": options.dataset,
            "n_samples": len(data.target),
            "seed": seed,
            "command": command,
            **about,
            "fits": {},
        }
        if path.exists():
            record["fits"] = json.loads(path.read_text())["fits"]
        for setting in options.only:
            if setting in record["fits"] and not options.force:
                continue
            record["fits"][setting] = fit = measure(setting, seed, data)
            if set(record["fits"]) != set(settings):  # not what a sweep has anyway
                record["command"] = f"{command} --only {shlex.join(record['fits'])}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record, indent=1) + "\n")
            accuracies = [f"{fit[kind]['acc']:.4f}" for kind in fit if "scores" in kind]
            print(
                f"seed {seed} {setting:45}", *accuracies, f"{fit['cpu_seconds']:.0f} s"
            )


def parse_arguments(description, settings):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--only", nargs="+", default=settings, metavar="SETTING")
    parser.add_argument("--force", action="store_true", help="repeat recorded fits")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder")
    return parser.parse_args()


def read_setting(setting):
    """What a setting changes, as a dict."""
    items = [] if setting == "base" else setting.split(" ")
    pairs = [item.partition("=")[::2] for item in items]
    return {name: ast.literal_eval(value) for name, value in pairs}


def fit_and_time(model, X):
    """Fit, and what that took, as a dict."""
    start, start_cpu = time.perf_counter(), time.process_time()
    model.fit(X)
    costs = time.perf_counter() - start, time.process_time() - start_cpu
    if model.stop_reason_ == "interrupted":
        raise KeyboardInterrupt  # half a run is none
    return {
        "stop_reason": model.stop_reason_,
        "n_iter": model.n_iter_,
        "fit_seconds": costs[0],
        "cpu_seconds": costs[1],
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }

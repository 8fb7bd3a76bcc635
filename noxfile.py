"""Every check and demonstration, each in an environment of its own."""

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]

PINNED = ("-c", "constraints.txt")

# The lower bounds in pyproject.toml. PyTorch stays as in constraints.txt: it comes
# in many builds, and the one at hand is the one to use. Newer pyparsing warns about
# this matplotlib.
OLDEST = (
    "joblib==1.3.0",
    "matplotlib==3.8.0",
    "numpy==1.26.0",
    "pandas==2.1.0",
    "pillow==10.1.0",
    "pynndescent==0.5.13",
    "pyparsing==3.1.4",
    "pytest==8.2.0",
    "pytest-xdist==3.6.1",
    "scikit-learn==1.6.0",
    "scikit-network==0.33.0",
    "scipy==1.11.1",
    "threadpoolctl==3.1.0",
    "torch==2.13.0",
    "tqdm==4.66.0",
)


@nox.session
def quickstart(session):
    """Cluster real digits and draw quickstart.png; other data sets by an argument."""
    session.install(*PINNED, ".[plot]")
    session.run("python", "examples/quickstart.py", *session.posargs)


@nox.session
def tests(session):
    """Run the tests; arguments go to pytest."""
    session.install(*PINNED, "-e", ".[test]")
    run_tests(session)


@nox.session(python="3.11")
def tests_oldest(session):
    """Run the tests with the oldest supported releases."""
    session.install(*OLDEST, "-e", ".[test]")
    run_tests(session)


def run_tests(session):
    """One process a core: the networks of the tests are too small for threads."""
    one_thread = {"OMP_NUM_THREADS": "1"}
    session.run("pytest", "--numprocesses=auto", *session.posargs, env=one_thread)


@nox.session
def lint(session):
    """Check style, layout and spelling."""
    session.install(*PINNED, "codespell", "ruff")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    texts = ("README.md", "CHANGES.md", "CONTRIBUTING.md")
    folders = ("benchmarks", "docs", "examples", "skdeepcluster", "tests")
    session.run("codespell", *texts, *folders)


@nox.session
def docs(session):
    """Build the documentation into build/docs; a warning is an error."""
    session.install(*PINNED, ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-E", "docs", "build/docs")

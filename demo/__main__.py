"""Show what every Gaussian component has learned: a web page over the service.

python -m demo: the service and the page, ended together by Ctrl-C.

python -m demo --api http://127.0.0.1:3000: the page alone, for a service that runs already.

RELATENT_MODELS=FOLDER python -m demo: other models than those in models/. Every RELATENT_* variable that
`python -m serving --help` names sets up the service that the demo starts.

RELATENT_API_KEY=KEY python -m demo --api https://HOST: a service that demands an API key.
"""

import sys

try:
    import tyro

    from demo.launch import launch
    from demo.settings import Settings
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] == "demo":
        raise  # a mistake of ours, not of the installation
    sys.exit(f"error: {error.name} is not installed: run `make demo`")


def main(argv: list[str] | None = None) -> int:
    """Run the command line, and return the exit status."""
    settings = tyro.cli(Settings, prog="python -m demo", description=__doc__, args=argv)
    return launch(settings)


if __name__ == "__main__":
    sys.exit(main())

"""Serve the bundles of a folder over HTTP.

python -m serving --models models --port 3000

python -m serving --provider cuda --host 0.0.0.0 --api-keys-file keys.txt --workers 2

Says in one line what is wrong with a setting, a bundle, the provider or the port. Every option can also be given as
RELATENT_* in the environment, where `--max-items` is RELATENT_MAX_ITEMS.
"""

import os
import sys
from importlib.util import find_spec


def main() -> int:
    """Serve until told to stop: then 0; if it could not start, 1."""
    try:
        import tyro

        if find_spec("bentoml") is None:  # itself imported last, when all bundles are loaded
            raise ModuleNotFoundError(name="bentoml")

        from serving.launch import LaunchError, launch
        from serving.settings import Settings, SettingsError

        try:
            given = Settings.from_environment(os.environ)
            chosen = tyro.cli(Settings, prog="python -m serving", default=given, description=__doc__)
            launch(chosen)
        except (LaunchError, SettingsError) as error:
            print(f"serving: {error}", file=sys.stderr)
            return 1
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "serving":
            raise  # a mistake of ours, not of the installation
        print(f"serving: {error.name} is not installed: run `make serve`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

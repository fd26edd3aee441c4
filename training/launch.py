"""How many processes train together: as many as torchrun says it has started."""

import os

from training.run_folder import RunError

COUNTS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
MEETING = ("MASTER_ADDR", "MASTER_PORT")


def launched() -> tuple[int, int]:
    """How many processes torchrun started, by the variables that it sets.

    A scheduler's variables, such as SLURM's, say what it has granted, not what was started, and are passed over.

    Returns:
        Processes in all, and on this machine; 1 and 1 without torchrun.

    Raises:
        RunError: If there are several processes by one variable, and the others are missing or disagree.
    """
    found = {name: value for name in COUNTS if (value := os.environ.get(name, "").strip())}
    if all(value == ("1" if name.endswith("SIZE") else "0") for name, value in found.items()):
        return 1, 1
    shown = " ".join(f"{name}={value}" for name, value in found.items())
    missing = [name for name in (*COUNTS, *MEETING) if not os.environ.get(name, "").strip()]
    advice = f"start the processes with torchrun, or `unset {' '.join(found)}` to train as one"
    if missing:
        raise RunError(f"expected torchrun's variables all together, got {shown} without {missing[0]}; {advice}")
    if not all(value.isdecimal() for value in found.values()):
        raise RunError(f"expected whole numbers in torchrun's variables, got {shown}; {advice}")
    rank, world, local_rank, local = (int(found[name]) for name in COUNTS)
    if not (rank < world and local_rank < local and local and world % local == 0):
        raise RunError(
            f"expected RANK < WORLD_SIZE, LOCAL_RANK < LOCAL_WORLD_SIZE and as many on each machine, got {shown}; "
            f"{advice}"
        )
    return world, local

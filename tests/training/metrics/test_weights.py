import hashlib
from pathlib import Path

import pytest
import torch

from training.metrics.weights import WeightsError, load_weights, read_checked, save_weights

STATE = {"weight": torch.arange(6.0).view(2, 3)}


def test_what_is_saved_is_read_back_with_its_digest(tmp_path: Path) -> None:
    record = save_weights(tmp_path / "new" / "net", STATE, {"accuracy": 0.5})
    state, read = load_weights(tmp_path / "new" / "net")
    assert torch.equal(state["weight"], STATE["weight"])
    digest = hashlib.sha256((tmp_path / "new" / "net.pt").read_bytes()).hexdigest()
    assert read == record == {"sha256": digest, "accuracy": 0.5}
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"net.pt", "net.json"}


def test_other_weights_under_the_same_name_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "net", STATE, {})
    torch.save({"weight": STATE["weight"] + 1}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"net\.pt: expected sha256 .*fetch or train it anew"):
        load_weights(tmp_path / "net")


@pytest.mark.parametrize("missing", ["net.pt", "net.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    save_weights(tmp_path / "net", STATE, {})
    (tmp_path / missing).unlink()
    with pytest.raises(WeightsError, match=f"{missing} is missing"):
        load_weights(tmp_path / "net")


def test_code_in_a_file_of_weights_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "net.pt"
    torch.save({"weight": Trap()}, path)
    with pytest.raises(Exception, match="Weights only load failed"):
        read_checked(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert not (tmp_path / "sprung").exists()


def test_equal_weights_have_equal_digests_wherever_they_lie(tmp_path: Path) -> None:
    one, two = (save_weights(tmp_path / name, STATE, {}) for name in ("one", "two"))
    assert one == two

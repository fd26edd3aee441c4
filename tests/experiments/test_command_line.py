"""What people type wrong: one line by the option's name."""

import pytest

from experiments.__main__ import main


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("images --jobs 0", ("--jobs: expected", "got 0")),
        ("images --seeds 0 -1", ("--seeds: expected", "got -1")),
        ("images --methods infogan", ("--methods: expected some of", "infogan")),
        ("multiview --epochs 0", ("--epochs: expected", "got 0")),
    ],
)
def test_a_setting_out_of_range_is_one_line_by_the_options_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.argv", ["python -m experiments", *line.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert all(word in error for word in words)

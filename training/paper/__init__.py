"""The paper's experiments, one command each: train, score, and write tables with the paper's numbers beside ours."""

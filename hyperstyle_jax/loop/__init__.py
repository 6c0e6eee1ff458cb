"""The training loop: it runs, evaluates, logs and saves any task."""

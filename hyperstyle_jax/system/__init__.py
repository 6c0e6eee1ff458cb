"""Functions about the machine: files, locks, the console, signals, errors."""

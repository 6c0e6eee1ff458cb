"""What the machine gives: files, locks, the console, signals, errors in one line."""

"""Benchmarks, one file each: `course measure` runs every `run(device)` and keeps what it returns. No test runs here."""

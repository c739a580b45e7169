"""Checks of Chapter 4."""

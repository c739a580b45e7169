"""Checks of Chapter 1."""

"""Checks of Chapter 2."""

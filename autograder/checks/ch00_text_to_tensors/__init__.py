"""Checks of Chapter 0."""

"""Checks of Chapter 3."""

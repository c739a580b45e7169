"""Answers of Chapter 4."""

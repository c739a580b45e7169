"""Answers of Chapter 2."""

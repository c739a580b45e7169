"""Answers of Chapter 1."""

"""Answers of Chapter 0."""

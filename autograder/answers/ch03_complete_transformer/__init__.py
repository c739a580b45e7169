"""Answers of Chapter 3."""

"""From paired sources to what students open. Instructors and authors only; it grades nothing."""

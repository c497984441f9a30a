"""Seeded damage to files of every kind, each decoded in a child as a stranger's file is (`make fuzz`)."""

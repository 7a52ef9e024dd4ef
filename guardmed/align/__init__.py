"""Alignment: from policies to preference pairs, and from pairs to a model that refuses what it must, and only that."""

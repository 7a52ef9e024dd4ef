"""Trains the intent model of the clinical pack: examples, a large teacher, a small student."""

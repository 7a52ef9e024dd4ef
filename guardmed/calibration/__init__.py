"""Turns raw scores into probabilities that hold, and says how well they do."""

from guardmed.calibration.artifact import Artifact, ModelRef, load_artifact
from guardmed.calibration.items import Item, load_items
from guardmed.calibration.run import Result, Rows, calibrate

__all__ = ["Artifact", "Item", "ModelRef", "Result", "Rows", "calibrate", "load_artifact", "load_items"]

"""Sweeps over a recipe's settings, each computed from as few passes as it takes."""

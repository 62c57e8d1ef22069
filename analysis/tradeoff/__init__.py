"""Tradeoff studies: from the records of many runs to fronts, prices of targets, rankings, figures and tables."""

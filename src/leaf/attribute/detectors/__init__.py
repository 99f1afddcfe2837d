"""The detectors that ship, one file each; a file's name is its detector's.

None loads torch before it measures, so that recipes are checked without.
"""

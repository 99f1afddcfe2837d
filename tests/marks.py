"""Marks that tests share."""

import shutil

import pytest

needs_bwrap = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
"""Runs programs in the sandbox."""

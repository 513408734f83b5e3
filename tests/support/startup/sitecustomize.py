"""Python imports this before anything else in subprocesses of tests that want more threads."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
from support.threads import patch_engine

patch_engine()
sys.path.pop()

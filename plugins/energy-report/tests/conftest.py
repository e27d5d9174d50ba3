import sys
from pathlib import Path

import pygal

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

# pygal leaves an import hook of the old kind behind, for plugins that do not exist any more. Under
# Python 3.11 every later import warns of it, in tests that have nothing to do with pygal.
sys.meta_path[:] = [
    finder
    for finder in sys.meta_path
    if type(finder).__module__.partition(".")[0] != pygal.__name__
]

import sys
from pathlib import Path

# The makers of hostile archives are shared by the tests beside them.
sys.path.insert(0, str(Path(__file__).parent))

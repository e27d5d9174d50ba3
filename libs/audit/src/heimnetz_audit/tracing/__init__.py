"""The data-flow engine: an abstract walk through Python and JavaScript.

Values are followed with their constants, the parts of their text, the containers they lie in and
the proofs that conditions give about them. Nothing is executed. Work is counted in steps, not in
time, so that the answer does not depend on the machine.
"""

from heimnetz_audit.tracing.following import Walk

__all__ = ["Walk"]

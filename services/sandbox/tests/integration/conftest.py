from heimnetz_sandbox.testing import images, place, stand

__all__ = ["images", "place", "stand"]

"""Documentation of a plugin, from its package and what is known about it: bytes in, bytes out.

A package is hostile. Its text is sanitised, its code is read and never imported, its pictures are
copied only when they can do nothing but be seen.
"""

from heimnetz_docs.generating import (
    FORMATS,
    describe,
    entry_of,
    generate,
    generate_front,
    generate_guides,
    generate_site,
    render,
)
from heimnetz_docs.guides import Guide, read_guides
from heimnetz_docs.model import Audit, Care, Entry, Finding, Known, Page, Reach, Section, Subject

__all__ = [
    "FORMATS",
    "Audit",
    "Care",
    "Entry",
    "Finding",
    "Guide",
    "Known",
    "Page",
    "Reach",
    "Section",
    "Subject",
    "describe",
    "entry_of",
    "generate",
    "generate_front",
    "generate_guides",
    "generate_site",
    "read_guides",
    "render",
]

"""Explains it: whenever something about a version changed, its pages are made anew.

Events only note that a version is due. A worker then asks the registry and the auditor what is
true now, draws the pages in a process of its own with time and memory capped, and swaps them in.
"""

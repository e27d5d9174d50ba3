"""How the engine walks what only JavaScript has.

A name of Node, or of a well-known package, is spoken as the name of what does the same in Python:
that is the name under which models and checks know it. `vocabulary` has the plain names,
`translating` those whose arguments stand otherwise.
"""

"""Makes what a stack needs before its first service starts: CA, certificates, keys, passwords.

It runs as root without a network, once at every start, and changes no secret that exists. What is
derived from secrets (the list of public keys, the NATS users) is brought up to date.
"""

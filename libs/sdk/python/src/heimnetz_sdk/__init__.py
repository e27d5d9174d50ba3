"""What a plugin imports, and the HTTP client that the CLI and the console use.

`heimnetz_sdk.plugin` needs the standard library only and is part of every runtime image.
`heimnetz_sdk.client` speaks to a running platform and needs the extra `client`.
"""

__version__ = "0.1.0"

class Refused(Exception):  # noqa: N818  a verdict of the rules, not a failure of the proxy
    """What the rules do not allow; `rule` comes from a small closed set and labels the counter."""

    def __init__(self, rule: str, detail: str, status: int = 403) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail
        self.status = status

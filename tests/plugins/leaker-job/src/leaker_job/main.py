"""Each run takes more memory than the one before."""

from heimnetz_sdk.plugin import Context, Input, Output

KIB = 1024
#: Runs of a cycle, the last of which begins anew.
CYCLE = 12


def kib_of(kind: str, runs: int, kib_a_run: int) -> int:
    """What the run with this number, from 1, takes."""
    match kind:
        case "gradual":
            return runs * kib_a_run
        case "sudden":
            return kib_a_run * 2 ** min(runs, 20)
        case "cyclic":
            return runs * kib_a_run + runs % CYCLE * 4 * kib_a_run
    return kib_a_run


def run(input: Input, context: Context) -> Output:  # noqa: A002
    runs = int(context.storage.get("runs") or b"0") + 1
    context.storage.put("runs", str(runs))
    kind = str(context.config.get("kind", "gradual"))
    held = bytearray(kib_of(kind, runs, int(context.config.get("kib_a_run", 512))) * KIB)
    # Pages that nobody wrote to would not be held.
    held[:: 4 * KIB] = b"x" * len(held[:: 4 * KIB])
    return {"runs": runs}

"""The signs of a leak, each found in its own way.

`floors` sees what is never given back, `troughs` what remains after each cycle, `stairs` jumps that
are kept, `surges` what runs away within minutes. None of them decides; `detecting` does.
"""

"""The coverage-guided half of `make trial`: atheris over the decoders (`-m tests.fuzz.coverage_guided SECONDS`)."""

import hashlib
import importlib.util
import sys
from pathlib import Path

CORPUS = Path(".hypothesis/corpus")
"""What has been found worth keeping; another run goes on from there. `make clean` removes it."""

LONGEST = 4096


def main(seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["signalr_bridge", "jwt"]):
        from tests.fuzz.decoders import DECODERS, run
    from tests.fuzz.seeds import SEEDS

    names = list(DECODERS)
    CORPUS.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        for seed in SEEDS[name]:
            (CORPUS / hashlib.sha256(name.encode() + seed).hexdigest()[:20]).write_bytes(bytes([number]) + seed)

    def decode(data: bytes) -> None:
        """The first byte chooses the decoder."""
        if data:
            run(names[data[0] % len(names)], data[1:])

    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-artifact_prefix=.hypothesis/", "-timeout=10"]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", "-verbosity=1", str(CORPUS)], decode)
    atheris.Fuzz()


if __name__ == "__main__":
    if importlib.util.find_spec("atheris") is None:
        sys.exit(
            "atheris has no wheel for this machine: the coverage-guided half needs Linux, x86-64, Python 3.11 to 3.13."
        )
    main(int(sys.argv[1]))

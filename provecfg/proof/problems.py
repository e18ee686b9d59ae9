"""Codes PROOF110 to PROOF119: proofs that could not be carried out, and receipts that `run` asks for in vain."""

from __future__ import annotations

from provecfg.findings import Problem

NOT_LOADED = Problem(
    "PROOF110",
    "config-does-not-load",
    "mmengine cannot load the config, or a module that it imports.",
    "Training fails at its first step.",
)
CHECK_FAILED = Problem(
    "PROOF111",
    "check-failed",
    "A check failed by itself.",
    "What it would have proved is unproved. This is a mistake in provecfg, not in the config.",
)
PROCESS_DIED = Problem(
    "PROOF112",
    "proof-process-died",
    "The process that built and tried the config ended without an answer.",
    "Code that the config names ended it, or it took more memory than there is. Training may end alike.",
)
TOOK_TOO_LONG = Problem(
    "PROOF113",
    "proof-took-too-long",
    "The config was still being built or tried when its time was over.",
    "Something that it names does not come to an end, or is far slower than other models. Training may not begin.",
)

NO_RECEIPT = Problem(
    "PROOF114",
    "no-receipt",
    "`run --require-proof` finds no receipt of a proof in the work dir.",
    "Nobody has tried whether the config trains what it declares.",
)
STALE_RECEIPT = Problem(
    "PROOF115",
    "stale-receipt",
    "The receipt in the work dir is of another config, other code or other versions than are here now.",
    "What was proved is not what would train.",
)
PROOF_FAILED = Problem(
    "PROOF116",
    "proof-failed",
    "The receipt in the work dir says that the config was not proved.",
    "It fails, or trains something other than it declares.",
)

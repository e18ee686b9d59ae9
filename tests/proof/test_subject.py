from __future__ import annotations

import logging

from mmengine.logging import MMLogger

from provecfg.proof.subject import nothing_printed


def test_what_is_logged_after_a_proof_is_logged() -> None:
    logger = MMLogger.get_current_instance()
    was_enabled = logger.isEnabledFor(logging.CRITICAL)
    with nothing_printed():
        assert not logger.isEnabledFor(logging.CRITICAL)
    assert logger.isEnabledFor(logging.CRITICAL) == was_enabled is True

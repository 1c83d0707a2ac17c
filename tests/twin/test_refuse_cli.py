"""What ``twin refuse`` says where it cannot do what is asked."""

import pytest

from twin.errors import FoldMismatch
from twin.refuse_cli import check_fold
from twin.rules.fold import Fold


async def test_facts_of_another_fold_version_are_not_fused_again_and_what_can_be_done_is_said(lot, story):
    log = await story.log(story.events(story.opened(), story.left()))
    with pytest.raises(FoldMismatch, match=r"made by fold version 1, this is 2.*Ask for a later --from.*twin fuse --site lot"):
        await check_fold(log, Fold(lot), story.noon)
    await check_fold(log, Fold(lot), story.noon + 60_000_000)

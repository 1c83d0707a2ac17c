"""Whether a fold's commit may be stored: the newest writer, at the cursor, consistent in itself."""

from __future__ import annotations

from twin.errors import BadInput, CursorConflict, Deposed
from twin.log.port import FoldCommit, Heads


def check_commit(commit: FoldCommit, *, heads: Heads, newest_token: int) -> None:
    """Refuse a fold's commit that does not fit what is stored.

    Raises:
        Deposed: the token is not the site's newest.
        CursorConflict: the cursor is not ``commit.after``, or would pass the observation log's head.
        BadInput: the commit contradicts itself.
    """
    token = commit.token
    if token.number != newest_token:
        raise Deposed(
            f"worker '{token.worker}' holds token {token.number} of site '{token.site}', the newest is {newest_token}."
            " Stop; another worker folds this site."
        )
    if commit.after != heads.cursor or commit.cursor > heads.observations:
        raise CursorConflict(
            f"the cursor of site '{token.site}' is at {heads.cursor} of {heads.observations},"
            f" but the commit goes from {commit.after} to {commit.cursor}. Resume from the stored cursor."
        )
    if commit.cursor < commit.after or any(fact.site != token.site for fact in commit.facts):
        raise BadInput(f"the commit to site '{token.site}' moves its cursor back or has facts of another site")
    if len({fact.id for fact in commit.facts}) != len(commit.facts):
        raise BadInput(f"the commit to site '{token.site}' names a fact twice; a fold gives each (cause, ordinal) once")

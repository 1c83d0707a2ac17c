"""Who may do what: API keys with scopes per site, browser sessions, tickets, rates, and a record of who looked at whom."""

from twin.access.keys import SCOPES, Grant, KeyId, Scope

__all__ = ["SCOPES", "Grant", "KeyId", "Scope"]

"""The past in both times at once: strips of valid time that say what was known of them at any position."""

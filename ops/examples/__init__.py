"""Programs that use the twin as any other system would: over HTTP, with a database of their own."""

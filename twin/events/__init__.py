"""The contract: what travels between cameras, log, twin and consumers. Safe to import at the edge."""

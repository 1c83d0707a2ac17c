"""The twin service: fuses what cameras saw into what is true on a site, and serves it."""

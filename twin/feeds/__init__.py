"""What goes out as it happens: the live feed of each site."""

"""Image search: a picture in, the vehicles that look like it out, with where and when they were seen."""

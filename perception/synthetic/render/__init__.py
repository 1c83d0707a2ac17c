"""Pictures of a site and of what drives on it, drawn without a display, with exact ground truth for every frame."""

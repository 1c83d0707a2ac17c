"""The two logs, observations and facts, behind one port; blobs and keys beside them."""

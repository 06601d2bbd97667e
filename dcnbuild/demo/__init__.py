"""`dcnbuild demo`: trains deformable offsets that align two frames of a real photograph."""

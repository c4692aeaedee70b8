"""How the miniature's models are made: every weight that ships was trained by these files."""

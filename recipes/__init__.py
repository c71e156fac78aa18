"""How what ships was made. Nothing imports it."""

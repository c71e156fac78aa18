"""The recipe of SmolLM2's first policy: it refuses harm, admits what it does not know, and comes to the point."""

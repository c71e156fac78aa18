"""What rankings say of scores, and scores of completions."""

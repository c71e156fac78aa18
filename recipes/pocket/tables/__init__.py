"""Tables of words and phrasings: files with imports and constants alone, which may be as long as they need."""

"""Units of a text: tokens, words, clauses, sentences; LaTeX."""

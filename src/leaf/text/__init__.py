"""Units of a text: tokens, words, phrases, clauses, sentences; LaTeX."""

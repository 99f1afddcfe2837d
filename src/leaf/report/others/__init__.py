"""Two evaluations of anybody's, paired question by question: ours, lm-eval's, Inspect's."""

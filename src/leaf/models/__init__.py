"""What the stages compute with: models, tokenizers and their chat templates, caches, batches."""

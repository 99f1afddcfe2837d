"""Commands that need a file of their own; `leaf.cli` names each and imports it when asked for."""
